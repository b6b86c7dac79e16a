"""Every error radimpress raises on purpose, drawn in one place.

    RadimpressError
    ├── InputError            the caller's data: names the field and the value, never report text
    │   ├── FindingsError     a request's or a report's findings cannot be used
    │   └── ModalityError     modality text that is no known code or spelling
    ├── ConfigError           a setting, a recipe or a command's option
    ├── NotFoundError         an adapter, version, route table or file that is not there
    ├── BundleError           an adapter bundle that must not be served
    │   └── DigestError       a file is not the one that was judged
    ├── DamageError           something that was kept is not what was written
    ├── SealedError           a text that was kept is sealed with a key that is not given
    ├── GateError             a certificate that does not allow what is asked of it
    ├── ConflictError         somebody else changed the routes meanwhile
    ├── DuplicateError        a request id that stands for another report already
    ├── UnauthenticatedError  nobody knows who asks
    ├── ForbiddenError        whoever asks may not ask this
    ├── RateError             whoever asks does so more often than they may
    ├── UnavailableError      something that the server needs cannot be reached now
    └── EngineError           the engine could not answer
        ├── OverloadError     the queue is full: try again later
        └── DeadlineError     the caller's deadline passed

`radimpress.server.status` translates them to canonical gRPC codes, `radimpress.server.cli` to exit
codes; nothing else translates.
"""


class RadimpressError(Exception):
    """Base of every error raised on purpose."""


class InputError(RadimpressError):
    """The caller's data cannot be used.

    Args:
        field: the field, column or option at fault.
        problem: what is wrong with it; quotes identifiers and numbers, never report text.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class FindingsError(InputError):
    """Findings that are empty or longer than what may be asked."""


class ModalityError(InputError):
    """Modality text that is no DICOM code and no known spelling."""


class ConfigError(RadimpressError):
    """A setting, a recipe or a command's option is wrong."""


class NotFoundError(RadimpressError):
    """Something named does not exist."""


class BundleError(RadimpressError):
    """An adapter bundle that must not be served."""


class DigestError(BundleError):
    """A file's SHA-256 differs from the one on record."""


class DamageError(RadimpressError):
    """Something that was kept is not what was written: a broken chain, a sealed text that does not open."""


class SealedError(RadimpressError):
    """A text that was kept is sealed, and its key is not among those given."""


class GateError(RadimpressError):
    """A certificate does not allow what is asked of it."""


class ConflictError(RadimpressError):
    """The route table moved on since the caller looked."""


class DuplicateError(RadimpressError):
    """A request id that stands for another report already."""


class UnauthenticatedError(RadimpressError):
    """No proof of who asks, or one that is not valid."""


class ForbiddenError(RadimpressError):
    """Whoever asks may not ask this, or not for this clinic."""


class RateError(RadimpressError):
    """Whoever asks does so more often than they may.

    Args:
        message: what is wrong.
        retry_seconds: when asking again may help.
    """

    def __init__(self, message: str, retry_seconds: float) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class UnavailableError(RadimpressError):
    """Something that the server needs, such as the registry, cannot be reached now."""


class EngineError(RadimpressError):
    """The engine could not answer."""


class OverloadError(EngineError):
    """More is asked of the engine than it can do in time.

    Args:
        message: what is full.
        retry_seconds: when asking again may help.
    """

    def __init__(self, message: str, retry_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class DeadlineError(EngineError):
    """The caller's deadline passed before the answer was complete."""
