"""The catalogue this server answers from."""

from telemetry.catalogue import catalogue_load

CATALOGUE = catalogue_load()
