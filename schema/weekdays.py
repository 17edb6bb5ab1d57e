"""The days of the week, for whatever goes by them."""

from domain.timing import Weekday
from schema.views import described

__all__ = ["Weekday"]

described(Weekday, "A day of the week.", **{day.name: f"{day.name.capitalize()}." for day in Weekday})
