"""Whether hits are audited in this process."""

from typing import TYPE_CHECKING

from ..plans import Plans

if TYPE_CHECKING:
    from .auditor import Auditor


def auditor_of(plans: Plans) -> "Auditor | None":
    """What audits hits, where the process is to."""
    if plans.manager.config.audit is None:
        return None
    from .auditor import Auditor  # few processes audit, and it takes a while to load

    return Auditor(plans)
