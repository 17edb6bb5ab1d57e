"""Figures as ratios to a baseline of the same run; `make bench` prints them. Never asserted: machines are noisy."""
