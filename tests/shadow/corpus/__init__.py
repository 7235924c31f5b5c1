"""Small applications, most of them careless in one way, with traffic as sites have it."""

from tests.shadow.corpus import (
    clients,
    cookies,
    correct,
    correct_times,
    correct_ways,
    edits,
    fields,
    negotiation,
    randoms,
    tenants,
    times,
    twofold,
)
from tests.shadow.corpus.application import Application
from tests.shadow.corpus.expected import Expected

CARELESS: tuple[Application, ...] = (
    *fields.APPLICATIONS,
    *negotiation.APPLICATIONS,
    *tenants.APPLICATIONS,
    *cookies.APPLICATIONS,
    *clients.APPLICATIONS,
    *randoms.APPLICATIONS,
    *edits.APPLICATIONS,
    *times.APPLICATIONS,
    *twofold.APPLICATIONS,
)
CORRECT: tuple[Application, ...] = (
    *correct.APPLICATIONS,
    *correct_times.APPLICATIONS,
    *correct_ways.APPLICATIONS,
)
APPLICATIONS: tuple[Application, ...] = (*CARELESS, *CORRECT)

__all__ = ["APPLICATIONS", "CARELESS", "CORRECT", "Application", "Expected"]
