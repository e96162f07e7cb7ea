"""The gate before the application: each call's token is judged before its body is received (rows 22 to 26).

It stands on the event loop and never blocks it. Keys that are not at hand are asked for in a thread, one at a time a
client; signatures and the store of used tokens have a thread of their own, in which the store's connection lives.
"""

import asyncio
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hooks.auth import LEEWAY_SECONDS, NOBODY, Admission, Header, Token, check_signature, check_token, read_token
from hooks.clients import Client
from hooks.errors import RequestError, TooManyCalls, TrustUnavailable, Unauthenticated
from hooks.jwks import FETCH_SECONDS, Key, KeySource, key_sources
from hooks.rate import retry_after, take
from hooks.replay import open_store, transaction, use

_ASK_SECONDS = FETCH_SECONDS + 1.0


class Gate:
    """Judges tokens by the registry. bases: what `aud` may begin with, the rest is the path called.

    is_closed: whether nobody but a client is listened to; folder: where the workers of a server share what they know.
    Raises SettingsError for a file of keys that is unusable.
    """

    def __init__(
        self,
        clients: tuple[Client, ...],
        bases: Sequence[str],
        folder: Path,
        is_closed: bool,
        ca_file: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clients = {client.issuer: client for client in clients}
        self._sources = key_sources(clients, folder, ca_file)
        self._bases = bases
        self._folder = folder
        self._is_closed = is_closed
        self._clock = clock
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._thread = ThreadPoolExecutor(1, "gate")
        self._store: sqlite3.Connection | None = None

    async def admit(self, path: str, authorizations: Sequence[str]) -> Admission:
        """Who calls the path (as it stands in the URL, without query), by the values of its Authorization headers.

        Without a token, or when nobody is registered, that is nobody; whether nobody may call is not decided here.
        """
        if not authorizations or not self._clients:
            return NOBODY
        client = None
        try:
            token = read_token(authorizations)
            client = self._registered(token)
            now = self._clock()
            check_token(token, client, [base + path for base in self._bases], now)
            key = await self._key(client, token.header, now)
            await asyncio.get_running_loop().run_in_executor(self._thread, self._settle, token, client, key, now)
        except RequestError as error:
            return Admission(error=error, issuer=client.issuer if client else "")
        return Admission(client, issuer=client.issuer, tenant=token.claims.tenant or "")

    def listens_to(self, admission: Admission) -> bool:
        """Whether the body of a call is received at all."""
        return admission.error is None and (admission.client is not None or not self._is_closed)

    def close(self) -> None:
        """End the thread, and in it the store."""
        self._thread.submit(self._close_store)
        self._thread.shutdown()

    def _registered(self, token: Token) -> Client:
        client = self._clients.get(token.claims.iss or "")
        if client is None:
            raise Unauthenticated("unknown-issuer")
        return client

    async def _key(self, client: Client, header: Header, now: float) -> Key | None:
        """From where the token says that its key is; from everywhere the client has keys when it does not say."""
        sources = self._sources[client.issuer]
        named = [sources[header.jku]] if header.jku in sources else sources.values()
        for source in named:
            if key := source.find(header.kid, now):
                return key
        for source in named:
            if key := await self._awaited(client, source, header.kid, now):
                return key
        return None

    async def _awaited(self, client: Client, source: KeySource, kid: str, now: float) -> Key | None:
        asking = asyncio.ensure_future(self._asked(client, source, kid, now))
        try:
            return await asyncio.wait_for(asyncio.shield(asking), _ASK_SECONDS)
        except TimeoutError:  # a name server can take longer than all limits; whoever comes next waits for the same
            asking.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise TrustUnavailable("keys-unavailable") from None

    async def _asked(self, client: Client, source: KeySource, kid: str, now: float) -> Key | None:
        async with self._asking[client.issuer]:
            return await asyncio.to_thread(source.ask, kid, now)

    def _settle(self, token: Token, client: Client, key: Key | None, now: float) -> None:
        """In the thread: who signed it, and whether it is the first call with it and not one too many."""
        check_signature(token, key)
        try:
            self._store = store = self._store or open_store(self._folder)
            with transaction(store):
                if not take(store, client.issuer, client.rate_per_second, now):
                    raise TooManyCalls(retry_after(client.rate_per_second))
                if not use(store, client.issuer, token.claims.jti, token.claims.exp + LEEWAY_SECONDS, now):
                    raise Unauthenticated("replayed")
        except sqlite3.Error:
            self._close_store()
            raise TrustUnavailable("store-unavailable") from None

    def _close_store(self) -> None:
        """In the thread; the next call opens it anew."""
        if self._store:
            self._store.close()
        self._store = None
