"""The frame around every call of the data plane: authentication, and the guarantee of a response and a record."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from ..errors import OmniError
from ..translate.events import Failure
from . import auth, render, spend
from .answer import refuse
from .job import Gateway, Job
from .record import record

_log = logging.getLogger("omniroute.gateway")
CLIENT_GONE: Final = 499
STOPPED: Final = 503
J = TypeVar("J", bound=Job)


async def serve(gateway: Gateway, job: J, work: Callable[[Gateway, J], Awaitable[Failure | None]]) -> None:
    """Let *work* answer the client.  Whatever happens, the client gets a response and the call is recorded.

    *work* returns None once it has answered the client, else the failure to report; it may raise ``OmniError``.
    """
    exchange = job.exchange
    gateway.live.running += 1
    # on_gone is not set, so a client that leaves cancels this task, and with it the upstream call
    try:
        failure = await work(gateway, job)
        if failure is not None:
            refuse(gateway, job, failure)
    except OmniError as error:
        refuse(gateway, job, render.failure_of(error))
    except asyncio.CancelledError:
        if exchange.gone:
            if not job.complete:  # many clients close as soon as they have read the last event
                job.status = CLIENT_GONE
                job.failure = Failure(CLIENT_GONE, "The client closed the connection")
        else:
            _stop(gateway, job)
            raise
    except Exception:  # noqa: BLE001 - the last line of defence: the client gets a response in any case
        _log.exception("request %s failed", exchange.request.id, extra={"request_id": exchange.request.id})
        refuse(gateway, job, Failure(500, "Internal error: see the log for this request id"))
    finally:
        gateway.live.running -= 1
        spend.release(gateway.live, job)
        if job.keeper is not None:
            job.keeper.close()
        if not job.replayed:
            row = record(gateway, job)
            spend.charge(gateway.live, job, row)
            gateway.live.on_record(row)


def _stop(gateway: Gateway, job: Job) -> None:
    """End a call that the shutdown of the server has cancelled."""
    if job.complete and job.exchange.started:
        job.exchange.end()
        return
    job.status = STOPPED
    refuse(gateway, job, Failure(STOPPED, "Server is shutting down", retry_after=1))


def admit(gateway: Gateway, job: Job) -> None:
    """Authenticate the caller: sets ``job.key``.  Raises ``OmniError``."""
    job.key = auth.authenticate(
        gateway.live.snapshot,
        job.exchange.request,
        gateway.clock.time(),
        required=gateway.require_key,
        keyring=gateway.keyring,
    )
