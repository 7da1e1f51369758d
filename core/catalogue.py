"""The catalogue of this server."""

from telemetry.catalogue import catalogue_load

CATALOGUE = catalogue_load()
