"""Devices, grants, claim and transfer: what may you see."""
