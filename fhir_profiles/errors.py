"""What can be wrong with the knowledge files or a whole record; a bad resource is skipped and counted."""


class KnowledgeError(Exception):
    """A value set, a site's code list or another knowledge file cannot be used; start-up stops.

    The message names the file or the concept, what is wrong there, and what would be right.
    """


class RecordError(Exception):
    """What was sent cannot be taken as the record of the patient the call is about: the request is wrong."""


class PatientMissing(RecordError):
    """There is no Patient to read: without one nothing can be said (catalogue, section 2 rule 10)."""


class PatientReplaced(RecordError):
    """The Patient was merged into another record, which is the one to ask about."""
