"""The periodic jobs of devices: write counted refusals, end expired grants."""

from core.housekeeping import Job
from devices_app.denials import denials_write
from devices_app.services import grants_end_expired

JOBS = (
    Job(denials_write, first_s=2, every_s=2, at_close=True),
    Job(grants_end_expired, first_s=5, every_s=10),
)
