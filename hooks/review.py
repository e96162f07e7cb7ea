"""The alarm for criteria that nobody has looked through when they were due (reliability.md, row 9). Never fatal."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from fhir_profiles.transparency import Review
from hooks.log import log_alarm


class ReviewAlarm:
    """Tells the log once a day, while calls come in, that the review date is past. zone: whose days count."""

    def __init__(self, review: Review, zone: ZoneInfo) -> None:
        self._review = review
        self._zone = zone
        self._told: date | None = None

    def check(self, at: datetime) -> None:
        today = at.astimezone(self._zone).date()
        if self._review.is_overdue(today) and today != self._told:
            self._told = today
            log_alarm("review-overdue", due=self._review.due.isoformat())
