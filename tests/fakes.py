"""The ports in memory, with the behaviour that their contracts promise; `tests/contract` holds both
the fakes and the real adapters to it."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from domain import trending
from domain.answers import AnswerKey, StoredAnswer
from domain.catalogue import Catalogue
from domain.dead_letters import Letter, SendAgain
from domain.endpoint_health import Health, Probe
from domain.errors import Malformed, MangaAssistError, OwnedByAnother, Permanent, Refused, Transient
from domain.features import GroupRecord, UserFeatures
from domain.jobs import AppendAudit, CountInteraction, EmitAnalytics, Job, NotePreference
from domain.merging import outcomes
from domain.parking import Parked, parked_again
from domain.ports import (
    CountOutcome,
    Due,
    Failure,
    FeatureBatch,
    Given,
    IdPage,
    MergeBatch,
    Merged,
    Ports,
    PublishedSet,
    TaskMetrics,
    Verdict,
    Written,
)
from domain.preferences import MAX_PREFERENCES, name_of_genre, name_of_locale
from domain.recommendations import RecommendationRequest, Recommended
from domain.response_cache import StoredResponse
from domain.sessions import MAX_TURNS, Session, Turn
from domain.summaries import extract
from domain.trending import Counted, Rule

NOW = 1_800_000_000.0
PARKED_SECONDS = 30 * 86_400.0


class FakeClock:
    """A clock that a test moves."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class _Versions:
    sets: dict[int, tuple[PublishedSet, dict[str, StoredAnswer]]] = field(default_factory=dict)
    current: int = 0
    held: bool = False
    leased: bool = False


class FakeAnswerSets:
    """`AnswerSets`; `fail` is raised by the next write."""

    def __init__(self) -> None:
        self.stored: dict[str, StoredAnswer] = {}
        self.publications: list[PublishedSet] = []
        self.fail: MangaAssistError | None = None
        self._kinds: dict[str, _Versions] = {}

    def read(self, key: AnswerKey) -> StoredAnswer | None:
        return self.stored.get(key.redis_key())

    def current(self, kind: str) -> PublishedSet | None:
        versions = self._of(kind)
        return versions.sets[versions.current][0] if versions.current else None

    def publish(
        self, published: PublishedSet, answers: Mapping[AnswerKey, StoredAnswer]
    ) -> Written:
        versions = self._of(published.kind)
        newest = max(versions.sets, default=0)
        if published.version <= newest:
            is_same = published.version == newest
            return Written.ALREADY_APPLIED if is_same else Written.SUPERSEDED
        named = {name: it for key, it in answers.items() for name in key.redis_keys()}
        versions.sets[published.version] = (published, named)
        self._install(versions, published.version)
        self.publications.append(published)
        return Written.APPLIED

    def withdraw(self, published: PublishedSet, seconds: float) -> Written:
        assert published.answers == 0
        return self.publish(published, {})

    def write(self, key: AnswerKey, answer: StoredAnswer) -> Written:
        if self.fail is not None:
            raise self.fail
        found = self.read(key)
        if found is not None and found.version >= answer.version:
            is_same = found.version == answer.version
            return Written.ALREADY_APPLIED if is_same else Written.SUPERSEDED
        self.stored.update(dict.fromkeys(key.redis_keys(), answer))
        return Written.APPLIED

    def roll_back(self, kind: str, hold_seconds: float) -> PublishedSet:
        versions = self._of(kind)
        full = (version for version, (it, _) in versions.sets.items() if it.answers)
        before = max((version for version in full if version < versions.current), default=0)
        if not before:
            raise Refused("there is no version before")
        forgotten = versions.current
        self._install(versions, before)
        del versions.sets[forgotten]
        versions.held = True
        return versions.sets[before][0]

    def held(self, kind: str) -> bool:
        return self._of(kind).held

    def release(self, kind: str) -> None:
        self._of(kind).held = False

    def claim(self, kind: str, seconds: float) -> bool:
        versions = self._of(kind)
        taken, versions.leased = not versions.leased, True
        return taken

    def unclaim(self, kind: str) -> None:
        self._of(kind).leased = False

    def _of(self, kind: str) -> _Versions:
        return self._kinds.setdefault(kind, _Versions())

    def _install(self, versions: _Versions, version: int) -> None:
        if versions.current:
            for name in versions.sets[versions.current][1]:
                self.stored.pop(name, None)
        self.stored |= versions.sets[version][1]
        versions.current = version


class FakeResponses:
    """`Responses`: `sealed` are the responses by their bytes; `fail` is raised by writes."""

    def __init__(self) -> None:
        self.sealed: dict[bytes, StoredResponse] = {}
        self.kept: dict[str, tuple[StoredResponse, float]] = {}
        self.retracted: set[tuple[str, bytes]] = set()
        self.fail: MangaAssistError | None = None

    def open(self, key: str, stored: bytes) -> StoredResponse:
        response = self.sealed.get(stored)
        if response is None or response.key != key:
            raise Malformed("nobody sealed this")
        return response

    def keep(self, response: StoredResponse, stored: bytes, seconds: float) -> Written:
        if self.fail is not None:
            raise self.fail
        if (response.key, response.fingerprint) in self.retracted:
            return Written.RETRACTED
        found = self.kept.get(response.key)
        if found is not None and found[0].version >= response.version:
            is_same = found[0].version == response.version
            return Written.ALREADY_APPLIED if is_same else Written.SUPERSEDED
        self.kept[response.key] = response, seconds
        return Written.APPLIED

    def retract(self, response: StoredResponse) -> bool:
        self.retracted.add((response.key, response.fingerprint))
        found = self.kept.get(response.key)
        if found is None or found[0].fingerprint != response.fingerprint:
            return False
        del self.kept[response.key]
        return True


class FakeAnswerChecks:
    """`AnswerChecks`; `fail` is raised by notes."""

    def __init__(self) -> None:
        self.given: dict[str, set[Given]] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.fail: Transient | None = None

    def note(self, given: Sequence[Given]) -> Mapping[str, Verdict]:
        if self.fail is not None:
            raise self.fail
        for one in given:
            if one.answer_id not in self.verdicts:
                self.given.setdefault(one.answer_id, set()).add(one)
        return {
            one.answer_id: self.verdicts[one.answer_id]
            for one in given
            if one.answer_id in self.verdicts
        }

    def settle(self, answer_id: str, verdict: Verdict) -> Sequence[Given]:
        known = self.verdicts.get(answer_id)
        if known is None or not known.is_retracted:
            self.verdicts[answer_id] = verdict
            if not verdict.is_retracted:
                self.given.pop(answer_id, None)
        return list(self.given.get(answer_id, ())) if verdict.is_retracted else []


class FakeCounts:
    """`InteractionCounts`."""

    def __init__(self, rule: Rule, clock: FakeClock) -> None:
        self._rule = rule
        self._clock = clock
        self._counted: dict[tuple[str, str], Counted] = {}

    def count(self, interactions: Sequence[CountInteraction]) -> CountOutcome:
        outcomes = Counter(self._count(job) for job in interactions)
        return CountOutcome(outcomes["applied"], outcomes["duplicate"], outcomes["expired"])

    def scores(self, now: float) -> Mapping[str, float]:
        return trending.scores(self._rule, now, {}, self._counted.values())

    def _count(self, job: CountInteraction) -> str:
        if job.occurred_at < self._clock() - self._rule.window_seconds:
            return "expired"
        identity = (job.user_id, job.event_id)
        if identity in self._counted:
            return "duplicate"
        weight = self._rule.weight(job.interaction, job.value)
        self._counted[identity] = Counted(trending.tally_of(job), weight, job.occurred_at)
        return "applied"


class FakeSessions:
    """`Sessions`; `failing` session ids raise."""

    def __init__(self) -> None:
        self.writes: list[tuple[str, str, int]] = []
        self.failing: dict[str, MangaAssistError] = {}
        self._sessions: dict[str, Session] = {}
        self._pruned: dict[str, tuple[float, str]] = {}

    def add_turns(self, session_id: str, owner: str, turns: Sequence[Turn]) -> Session:
        if session_id in self.failing:
            raise self.failing[session_id]
        session = self._sessions.get(session_id, Session(session_id, owner))
        if session.owner != owner:
            raise OwnedByAnother(session.owner)
        self.writes.append((session_id, owner, len(turns)))
        through = self._pruned.get(session_id, (0.0, ""))
        session = session.with_turns(t for t in turns if (t.at, t.event_id) > through)
        turns = session.in_order()
        for turn in turns[:-MAX_TURNS]:
            self._pruned[session_id] = (turn.at, turn.event_id)
        kept = {turn.event_id: turn for turn in turns[-MAX_TURNS:]}
        return self._changed(replace(session, turns=kept))

    def get(self, session_id: str, owner: str) -> Session | None:
        if session_id in self.failing:
            raise self.failing[session_id]
        session = self._sessions.get(session_id)
        return session if session is not None and session.owner == owner else None

    def summarise(self, session: Session) -> Session | None:
        found = self._same(session)
        if found is None or found.summarised_through >= session.summarised_through:
            return None
        return self._summarised(found, session)

    def reword(self, session: Session) -> Session | None:
        found = self._same(session)
        if found is None or found.summarised_through != session.summarised_through:
            return None
        return self._summarised(found, session)

    def retract(self, given: Given, note: str) -> Session | None:
        if given.session_id in self.failing:
            raise self.failing[given.session_id]
        found = self._sessions.get(given.session_id)
        turn = found.turns.get(given.event_id) if found is not None else None
        if found is None or turn is None or turn.answer_id != given.answer_id:
            return None
        if turn.is_retracted:
            return found
        turns = {**found.turns, given.event_id: turn.retracted(note)}
        return self._changed(replace(found, turns=turns, retractions=found.retractions + 1))

    def _same(self, session: Session) -> Session | None:
        """The session of that owner, with as many answers taken back."""
        found = self.get(session.session_id, session.owner)
        return found if found and found.retractions == session.retractions else None

    def _summarised(self, found: Session, session: Session) -> Session:
        return self._changed(
            replace(found, summary=session.summary, summarised_through=session.summarised_through)
        )

    def _changed(self, session: Session) -> Session:
        changed = replace(session, revision=session.revision + 1)
        self._sessions[session.session_id] = changed
        return changed


class FakeSessionCopies:
    """`SessionCopies`."""

    def __init__(self) -> None:
        self.copies: dict[str, Session] = {}
        self.owners: dict[str, str] = {}
        self.fail: Transient | None = None

    def put(self, sessions: Sequence[Session]) -> None:
        if self.fail is not None:
            raise self.fail
        for session in sessions:
            found = self.copies.get(session.session_id)
            if found is None or found.revision <= session.revision:
                self.copies[session.session_id] = session

    def restore_owner(self, session_id: str, owner: str) -> None:
        if self.fail is not None:
            raise self.fail
        self.owners[session_id] = owner


class FakePreferences:
    """`PreferenceNotes`: when each name was asked for last, by user."""

    def __init__(self) -> None:
        self.noted: dict[str, dict[str, float]] = {}

    def note(self, preferences: Sequence[NotePreference]) -> None:
        for job in preferences:
            names = [name_of_locale(job.locale), *([name_of_genre(job.genre)] * bool(job.genre))]
            for name in names:
                of_user = self.noted.setdefault(job.user_id, {})
                of_user[name] = max(job.occurred_at, of_user.get(name, 0.0))

    def of(self, user_id: str) -> Sequence[str]:
        of_user = self.noted.get(user_id, {})
        ranked = sorted(of_user, key=lambda name: (of_user[name], name), reverse=True)
        return ranked[:MAX_PREFERENCES]


class FakeAnalytics:
    """`AnalyticsStream`; does not take what `refusing` names."""

    def __init__(self) -> None:
        self.records: list[EmitAnalytics] = []
        self.refusing: dict[str, str] = {}

    def put(self, records: Sequence[EmitAnalytics]) -> Mapping[str, str]:
        if records and all(record.event_id in self.refusing for record in records):
            raise Transient("the stream took no record", dependency="kinesis")
        self.records += [record for record in records if record.event_id not in self.refusing]
        return {
            r.event_id: self.refusing[r.event_id] for r in records if r.event_id in self.refusing
        }


class FakeAudit:
    """`AuditLog`; does not take what `refusing` names."""

    def __init__(self) -> None:
        self.lines: list[AppendAudit] = []
        self.refusing: dict[str, str] = {}

    def append(self, lines: Sequence[AppendAudit]) -> Mapping[str, str]:
        self.lines += [line for line in lines if line.event_id not in self.refusing]
        return {id_: self.refusing[id_] for id_ in _ids(lines) if id_ in self.refusing}


class FakeParking:
    """`Parking`; does not take what `refusing` names, and `fail` is raised by the next parking."""

    def __init__(self, clock: FakeClock, metrics: TaskMetrics, kept_seconds: float) -> None:
        self.parked: dict[str, Parked] = {}
        self.refusing: dict[str, str] = {}
        self.fail: MangaAssistError | None = None
        self._expires: dict[str, float] = {}
        self._clock = clock
        self._metrics = metrics
        self._kept_seconds = kept_seconds

    def park(self, parked: Sequence[Parked]) -> Mapping[str, str]:
        if self.fail is not None:
            raise self.fail
        for one in parked:
            if one.id not in self.refusing:
                self._park(one)
        return {one.id: self.refusing[one.id] for one in parked if one.id in self.refusing}

    def get(self, parked_id: str) -> Parked | None:
        alive = self._expires.get(parked_id, 0.0) > self._clock()
        return self.parked.get(parked_id) if alive else None

    def each(self) -> Iterator[Parked]:
        alive = [one for parked_id in list(self.parked) if (one := self.get(parked_id))]
        yield from sorted(alive, key=lambda one: one.parked_at)

    def remove(self, parked: Parked) -> bool:
        found = self.get(parked.id)
        if found is None or found.history != parked.history:
            return False
        del self.parked[parked.id]
        return True

    def count(self) -> int:
        return len(list(self.each()))

    def _park(self, one: Parked) -> None:
        found = self.get(one.id)
        if found is None:
            self._metrics.count("parked_total", reason=one.reason.value)
        self.parked[one.id] = parked_again(found or one, one)
        self._expires[one.id] = self._clock() + self._kept_seconds


class FakeLastFailures:
    """`LastFailures`."""

    def __init__(self) -> None:
        self.noted: dict[str, Failure] = {}

    def note(self, message_id: str, failure: Failure) -> None:
        self.noted[message_id] = failure

    def of(self, message_id: str) -> Failure | None:
        return self.noted.get(message_id)


class FakeDeadLetters:
    """`DeadLetters`: `dead` by id, `sent` in order; does not take what `refusing` names."""

    def __init__(self) -> None:
        self.dead: dict[str, Letter] = {}
        self.hidden: set[str] = set()
        self.sent: list[tuple[Letter, SendAgain]] = []
        self.refusing: set[str] = set()
        self.undeletable: set[str] = set()
        self.fail: MangaAssistError | None = None

    def add(self, *letters: Letter) -> None:
        self.dead |= {letter.id: letter for letter in letters}

    def receive(self, queue: str, hide_seconds: int) -> Sequence[Letter]:
        if self.fail is not None:
            raise self.fail
        seen = [one for one in self.dead.values() if one.queue == queue]
        found = [one for one in seen if one.id not in self.hidden][:10]
        self.hidden |= {one.id for one in found}
        return found

    def send(self, again: Sequence[tuple[Letter, SendAgain]], now: float) -> Mapping[str, str]:
        self.sent += [(letter, how) for letter, how in again if letter.id not in self.refusing]
        return {letter.id: "Throttled" for letter, _ in again if letter.id in self.refusing}

    def delete(self, letters: Sequence[Letter]) -> Mapping[str, str]:
        for letter in letters:
            if letter.id not in self.undeletable:
                del self.dead[letter.id]
                self.hidden.discard(letter.id)
        return {one.id: "InternalError" for one in letters if one.id in self.undeletable}

    def release(self, letters: Sequence[Letter]) -> None:
        self.hidden -= {letter.id for letter in letters}


class FakeEndpointLooks:
    """`EndpointLooks`: finds `probes`, and knows `ids` unless `fail` says why not."""

    def __init__(self) -> None:
        self.probes: list[Probe] = []
        self.ids: dict[str, str] = {}
        self.fail: MangaAssistError | None = None
        self.asked = 0

    def probe(self) -> Sequence[Probe]:
        return self.probes

    def endpoint_ids(self) -> Mapping[str, str]:
        self.asked += 1
        if self.fail is not None:
            raise self.fail
        return self.ids


class FakeHealthReports:
    """`HealthReports`; `fail` is raised by the next report."""

    def __init__(self) -> None:
        self.reported: list[Health] = []
        self.fail: MangaAssistError | None = None

    def put(self, healths: Sequence[Health]) -> None:
        if self.fail is not None:
            raise self.fail
        self.reported += healths


class FakeCatalogueStore:
    """`CatalogueStore`."""

    def __init__(self, catalogue: Catalogue | None = None) -> None:
        self._catalogue = None if catalogue is None else _versioned(catalogue)

    def version(self) -> str | None:
        return None if self._catalogue is None else self._catalogue.version

    def load(self) -> Catalogue:
        if self._catalogue is None:
            raise Transient("no catalogue has been imported yet")
        return self._catalogue

    def publish(self, catalogue: Catalogue) -> bool:
        if self._catalogue is not None and dict(self._catalogue.titles) == dict(catalogue.titles):
            return False
        self._catalogue = _versioned(catalogue)
        return True


def _versioned(catalogue: Catalogue) -> Catalogue:
    titles = catalogue.titles
    return Catalogue(titles.values(), str(hash(tuple(titles.items()))))


class FakeHotUsers:
    """`HotUsers`."""

    def __init__(self, recent_titles: int = 50) -> None:
        self.features: dict[str, UserFeatures] = {}
        self._acts: dict[str, dict[str, float]] = {}
        self._seen: set[str] = set()
        self._recent_titles = recent_titles

    def put_features(self, users: Sequence[UserFeatures]) -> None:
        for user in users:
            standing = self.features.get(user.user_id, UserFeatures(user.user_id))
            self.features[user.user_id] = standing.merged(user.groups)

    def note(self, interactions: Sequence[CountInteraction]) -> None:
        for job in interactions:
            if job.user_id:
                acts = self._acts.setdefault(job.user_id, {})
                acts[job.item_id] = max(job.occurred_at, acts.get(job.item_id, 0.0))
                self._seen.add(job.user_id)

    def note_seen(self, user_ids: Iterable[str]) -> None:
        self._seen.update(filter(None, user_ids))

    def seen(self, user_ids: Sequence[str]) -> Sequence[str]:
        return [user_id for user_id in user_ids if user_id in self._seen]

    def recent(self, user_id: str) -> Sequence[str]:
        acts = self._acts.get(user_id, {})
        return sorted(acts, key=lambda item: -acts[item])[: self._recent_titles]


class FakeRecommendations:
    """`Recommendations`; `fail` is raised by the next write."""

    def __init__(self, clock: FakeClock) -> None:
        self.stored: dict[str, StoredAnswer] = {}
        self.due: dict[str, float] = {}
        self.fail: MangaAssistError | None = None
        self._clock = clock

    def put(self, user_id: str, answer: StoredAnswer) -> Written:
        if self.fail is not None:
            raise self.fail
        found = self.stored.get(user_id)
        if found is not None and found.version >= answer.version:
            is_same = found.version == answer.version
            return Written.ALREADY_APPLIED if is_same else Written.SUPERSEDED
        self.stored[user_id] = answer
        return Written.APPLIED

    def remove(self, user_id: str) -> None:
        self.stored.pop(user_id, None)

    def mark(self, user_ids: Collection[str], at: float) -> None:
        for user_id in user_ids:
            self.due[user_id] = min(at, self.due.get(user_id, at))

    def take_due(self, limit: int, lease_seconds: float) -> Sequence[Due]:
        now = self._clock()
        waiting = sorted((at, user_id) for user_id, at in self.due.items() if at <= now)
        taken = [Due(user_id, now + lease_seconds) for _, user_id in waiting[:limit]]
        self.due |= {due.user_id: due.until for due in taken}
        return taken

    def settle(self, due: Due, next_at: float | None) -> None:
        if self.due.get(due.user_id) != due.until:
            return
        del self.due[due.user_id]
        if next_at is not None:
            self.due[due.user_id] = next_at

    def count_due(self) -> int:
        return sum(at <= self._clock() for at in self.due.values())


class FakeRecommender:
    """`Recommender`: says `items` to everybody, or fails."""

    def __init__(self) -> None:
        self.items: Sequence[Recommended] = ()
        self.fail: MangaAssistError | None = None
        self.asked: list[RecommendationRequest] = []

    def recommend(self, request: RecommendationRequest, seconds: float) -> Sequence[Recommended]:
        self.asked.append(request)
        if self.fail is not None:
            raise self.fail
        return self.items


class FakeBookmarks:
    """`Bookmarks`."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        return self.places.get(name)

    def put(self, name: str, place: str) -> None:
        self.places[name] = place

    def remove(self, name: str) -> None:
        self.places.pop(name, None)


class FakeUserCache:
    """`UserCache`; `failing` user ids are not written."""

    def __init__(self) -> None:
        self.users: dict[str, UserFeatures] = {}
        self.failing: dict[str, MangaAssistError] = {}

    def merge(self, user_id: str, groups: Mapping[str, GroupRecord]) -> Mapping[str, Written]:
        if user_id in self.failing:
            raise self.failing[user_id]
        before = self.users.get(user_id, UserFeatures(user_id))
        self.users[user_id] = before.merged(groups)
        return outcomes(before, groups)

    def merge_all(self, records: Mapping[str, Mapping[str, GroupRecord]]) -> MergeBatch:
        merged, failed = dict[str, Merged](), dict[str, MangaAssistError]()
        for user_id, groups in records.items():
            try:
                written = self.merge(user_id, groups)
            except MangaAssistError as error:
                failed[user_id] = error
            else:
                merged[user_id] = Merged(self.users[user_id], written)
        return MergeBatch(merged, failed)

    def get(self, user_id: str) -> UserFeatures | None:
        return self.users.get(user_id)

    def get_all(self, user_ids: Sequence[str]) -> Mapping[str, UserFeatures]:
        return {one: self.users[one] for one in user_ids if one in self.users}

    def page(self, after: str | None, limit: int) -> IdPage:
        left = sorted(user_id for user_id in self.users if user_id > (after or ""))
        return IdPage(left[:limit], left[limit - 1] if len(left) > limit else None)


class FakeFeatures:
    """`FeatureSource`; does not answer for `silent` users, and `fail` is raised by every read."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, GroupRecord]] = {}
        self.silent: dict[str, str] = {}
        self.unusable: dict[str, set[str]] = {}
        self.unlisted: set[str] = set()
        self.reads: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
        self.fail: MangaAssistError | None = None
        self.page_ids = 3

    def put(self, user_id: str, group: str, record: GroupRecord) -> None:
        self.stored.setdefault(user_id, {})[group] = record

    def delete(self, user_id: str, group: str) -> None:
        del self.stored[user_id][group]

    def read(self, user_ids: Sequence[str], groups: Sequence[str]) -> FeatureBatch:
        if self.fail is not None:
            raise self.fail
        self.reads.append((tuple(user_ids), tuple(groups)))
        records = {
            user_id: {name: it for name, it in self.stored[user_id].items() if name in groups}
            for user_id in user_ids
            if user_id in self.stored and user_id not in self.silent
        }
        return FeatureBatch(
            {user_id: found for user_id, found in records.items() if found},
            {one: self.silent[one] for one in user_ids if one in self.silent},
            {one: self.unusable[one] for one in user_ids if one in self.unusable},
        )

    def page(self, group: str, after: str | None) -> IdPage:
        if group in self.unlisted:
            raise Permanent("the store does not list this group")
        having = (user_id for user_id, groups in self.stored.items() if group in groups)
        left = sorted(user_id for user_id in having if user_id > (after or ""))
        some = left[: self.page_ids]
        return IdPage(some, some[-1] if len(left) > len(some) else None)


class RecordingMetrics:
    """`TaskMetrics` that a test reads: `counted["name", "label", …]`, labels sorted by name."""

    def __init__(self) -> None:
        self.counted: Counter[tuple[str, ...]] = Counter()
        self.gauges: dict[tuple[str, ...], float] = {}
        self.observed: dict[tuple[str, ...], list[float]] = {}

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        self.counted[_key(name, labels)] += int(amount)

    def observe(self, name: str, value: float, **labels: str) -> None:
        self.observed.setdefault(_key(name, labels), []).append(value)

    def set(self, name: str, value: float, **labels: str) -> None:
        self.gauges[_key(name, labels)] = value


def _ids(jobs: Sequence[Job]) -> list[str]:
    return [job.event_id for job in jobs]


def _key(name: str, labels: Mapping[str, str]) -> tuple[str, ...]:
    return (name, *(labels[label] for label in sorted(labels)))


@dataclass
class World:
    """Every fake by its own type, and the ports made of them."""

    rule: Rule
    catalogue: FakeCatalogueStore = field(default_factory=FakeCatalogueStore)
    clock: FakeClock = field(default_factory=FakeClock)
    answers: FakeAnswerSets = field(default_factory=FakeAnswerSets)
    responses: FakeResponses = field(default_factory=FakeResponses)
    checks: FakeAnswerChecks = field(default_factory=FakeAnswerChecks)
    sessions: FakeSessions = field(default_factory=FakeSessions)
    session_copies: FakeSessionCopies = field(default_factory=FakeSessionCopies)
    preferences: FakePreferences = field(default_factory=FakePreferences)
    analytics: FakeAnalytics = field(default_factory=FakeAnalytics)
    audit: FakeAudit = field(default_factory=FakeAudit)
    failures: FakeLastFailures = field(default_factory=FakeLastFailures)
    dead_letters: FakeDeadLetters = field(default_factory=FakeDeadLetters)
    features: FakeFeatures = field(default_factory=FakeFeatures)
    users: FakeUserCache = field(default_factory=FakeUserCache)
    hot_users: FakeHotUsers = field(default_factory=FakeHotUsers)
    bookmarks: FakeBookmarks = field(default_factory=FakeBookmarks)
    recommender: FakeRecommender = field(default_factory=FakeRecommender)
    endpoints: FakeEndpointLooks = field(default_factory=FakeEndpointLooks)
    health_reports: FakeHealthReports = field(default_factory=FakeHealthReports)
    metrics: RecordingMetrics = field(default_factory=RecordingMetrics)

    def __post_init__(self) -> None:
        self.parking = FakeParking(self.clock, self.metrics, PARKED_SECONDS)
        self.counts = FakeCounts(self.rule, self.clock)
        self.recommendations = FakeRecommendations(self.clock)
        self.ports = Ports(
            clock=self.clock,
            today=lambda now: datetime.fromtimestamp(now, UTC).date(),
            answers=self.answers,
            responses=self.responses,
            checks=self.checks,
            counts=self.counts,
            sessions=self.sessions,
            summarise=extract,
            session_copies=self.session_copies,
            preferences=self.preferences,
            analytics=self.analytics,
            audit=self.audit,
            parking=self.parking,
            failures=self.failures,
            dead_letters=self.dead_letters,
            catalogue=self.catalogue,
            features=self.features,
            users=self.users,
            hot_users=self.hot_users,
            recommendations=self.recommendations,
            recommender=self.recommender,
            bookmarks=self.bookmarks,
            endpoints=self.endpoints,
            health_reports=self.health_reports,
            metrics=self.metrics,
        )
