"""What can go wrong between a core and the bus.

BrokerError
├── UnavailableError     the bus is away; may be tried again
├── LocalBusError        our side asked for what the bus cannot carry
│   └── CertificateError certificates, keys or credentials that cannot be used; says what to do
├── BrokerStartError     no broker could be started here; the message says what to do
└── JobError             a job raised, or its worker died
"""


class BrokerError(Exception):
    """Root of this package's errors."""


class UnavailableError(BrokerError):
    """The bus is away; the same call may succeed later."""


class LocalBusError(BrokerError):
    """A topic or payload that the bus cannot carry."""


class CertificateError(LocalBusError):
    """Certificates, keys or credentials are missing, wrong, or would be overwritten."""


class BrokerStartError(BrokerError):
    """No broker could be started on this machine."""


class JobError(BrokerError):
    """A job raised, or its worker died."""
