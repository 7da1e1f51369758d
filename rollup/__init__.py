"""Raw readings → rollup tiers and energy tiers, the same for every edition of TimescaleDB."""
