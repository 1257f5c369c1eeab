"""What became of every message that was said in the rooms of a soak, for every occupant, and whose loss it was."""

import time
from dataclasses import dataclass, field
from datetime import datetime

from .ledger import LinkDoubt, Verdict
from .tap import Seen, Stream, Tap, domain_of

# What the bridges answer for; everything else is counted by whose it is.
ROOM_CHARGES = ["said and lost", "lost in a room", "doubled in a room"]


# So late, at most, the taps see what a server sent that was killed; and no server is back so soon.
LATE_SECONDS = 0.3


@dataclass(frozen=True)
class Occupant:
    name: str  # and nick
    side: int
    address: str  # full


@dataclass
class Said:
    token: str
    room: int  # the side that it is at
    speaker: Occupant
    at: float
    bounced: list[str] = field(default_factory=list)
    heard: dict[str, list[float]] = field(default_factory=dict)  # by name


@dataclass
class Entry:
    """A client joined, without asking for history."""

    at: float
    is_told: bool  # since he was told that he was out


class RoomLedger:
    """Keeps the books of the rooms, over all rounds: what is replayed may be older than the round.

    A message goes two ways: to the room, if its speaker is at the other side, and from there to each occupant. What is
    missing on the second the room remembers; so a bridge that had a gap has to ask for it, and is charged when it did
    not. What a room had to tell and lost with its server, nobody can fetch.
    """

    def __init__(self, outward: list[Tap], inward: list[Tap], rooms: list[str], occupants: list[Occupant],
                 doubt: LinkDoubt | None = None):
        self.doubt = doubt  # None: the link brings everything once
        # by side: from the server to its bridge, from the bridge to its server
        self.outward, self.inward, self.rooms = outward, inward, rooms
        self.occupants = {occupant.name: occupant for occupant in occupants}
        self.said: dict[str, Said] = {}
        self.round: list[Said] = []
        self.began = time.monotonic()
        # The stamps in stanzas are of the wall clock.
        self._wall = time.time() - time.monotonic()
        self._entries: dict[tuple[int, str], list[Entry]] = {}
        self._server_ends: dict[int, float] = {}
        self._bridge_ends: dict[int, float] = {}

    # What happens

    def begin_round(self):
        self.began = time.monotonic()
        self.round = []
        self._server_ends.clear()
        self._bridge_ends.clear()

    def say(self, token: str, room: int, name: str):
        said = Said(token, room, self.occupants[name], time.monotonic())
        self.said[token] = said
        self.round.append(said)

    def hear(self, name: str, token: str):
        if said := self.said.get(token):
            said.heard.setdefault(name, []).append(time.monotonic())

    def bounce(self, token: str, condition: str) -> bool:
        """Whether it was said in a room."""
        if said := self.said.get(token):
            said.bounced.append(condition)
        return said is not None

    def enter(self, name: str, room: str, is_told: bool):
        entry = Entry(time.monotonic(), is_told)
        self._entries.setdefault((self.rooms.index(room), name), []).append(entry)

    def server_killed(self, side: int):
        self._server_ends[side] = time.monotonic()

    def bridge_killed(self, side: int):
        self._bridge_ends[side] = time.monotonic()

    # What came of it

    def close(self) -> Verdict:
        """Counts the round. What counts against the bridges is also listed in words."""
        verdict = Verdict()
        counts = verdict.counts
        for said in self.round:
            counts["room messages"] += 1
            taken = self._taken(said)
            if taken is None:
                self._count_untaken(said, verdict)
                continue
            for occupant in self.occupants.values():
                if occupant.name in said.heard:
                    counts["heard in rooms"] += 1
                elif reason := self._reason(said, occupant, taken):
                    counts[f"room: {reason}"] += 1
                else:
                    counts["lost in a room"] += 1
                    verdict.faults.append(f"lost in a room: {self.describe(said, occupant)}")
        for said in self.said.values():
            for name, times in said.heard.items():
                if len(times) > 1 and times[-1] >= self.began:
                    self._count_double(said, self.occupants[name], verdict)
        return verdict

    @property
    def is_whole(self) -> bool:
        """Nothing is missing that may still come."""
        return not self.close().counts["lost in a room"]

    def _count_untaken(self, said: Said, verdict: Verdict):
        """Nobody has ever seen that the room took it."""
        up, down = self._way_in(said)
        if said.bounced:
            whose = "bounced to the speaker"
        elif said.speaker.side == said.room:
            whose = "room's server"
        elif down:
            whose = "in doubt down" if all(seen.is_doubtful for seen in down) else "room's server"
        elif not up:
            whose = "speaker's server"
        elif all(seen.is_doubtful for seen in up):
            whose = "in doubt up"
        else:
            verdict.counts["said and lost"] += 1
            verdict.faults.append(f"said and lost: {self.describe(said, None)}")
            return
        verdict.counts[f"room: {whose}"] += 1

    def _reason(self, said: Said, occupant: Occupant, taken: float) -> str | None:
        """Why an occupant did not hear what the room had taken, if no bridge is to blame."""
        entered = [entry for entry in self._entries.get((said.room, occupant.name), []) if entry.at > self.began]
        times = [self._entered(said.room, occupant, entry) for entry in entered]
        later = [entry for entry, at in zip(entered, times) if at > taken]
        if occupant.side == said.room:
            return "said before he joined" if later else "room's server"
        copies, handed = self._way_out(said, occupant)
        if handed:
            if all(seen.is_doubtful for seen in handed):
                return "in doubt down"
            return "occupant's server" if any(s.is_acknowledged or s.place == 0 for s in handed) else None
        if not all(seen.is_doubtful for seen in copies):
            return None
        # The bridge beside the room never had it for certain, so the room has to be asked for it.
        if taken < self._server_ends.get(said.room, 0) + LATE_SECONDS:
            return "history gone with the room's server"
        if later:
            return "told that he left" if later[-1].is_told else "said before he joined"
        asked = self._asked(said.room, occupant)
        if any(since <= taken and done > taken for since, done in asked):
            return "not in the room's history"
        # Was there anything by which the bridge could know that something is missing?
        out = [sign.at for sign in self._signs(said.room, occupant) if sign.type == "unavailable" and 110 in sign.codes]
        back = [done for _, done in asked if done <= taken] + [at for at in times if at <= taken]
        gaps = [stream.ended for stream in self._streams(said.room) if stream.ended] + out
        gaps += [at for side, at in self._bridge_ends.items() if side == said.room]
        has_gap = any(gap > max(back, default=taken - 0.5) for gap in gaps)
        return None if has_gap or copies else "never written to the bridge"

    def _count_double(self, said: Said, occupant: Occupant, verdict: Verdict):
        given, written = self._way_in(said)
        copies, handed = self._way_out(said, occupant)
        if said.speaker.side != said.room and len(written) > 1:
            # Said twice in the room, so everybody heard it twice.
            culprit = None if not any(seen.is_doubtful for seen in written[:-1]) else "doubled in doubt"
        elif occupant.side == said.room:
            culprit = "doubled by the room's server"
        elif len(handed) <= 1:
            culprit = "doubled by occupant's server"
        else:
            culprit = "doubled in doubt" if any(seen.is_doubtful for seen in handed[:-1]) else None
        if not culprit and self.doubt and self.doubt.covers(given + copies):
            culprit = "doubled on the link in doubt"
        if culprit:
            verdict.counts[f"room: {culprit}"] += 1
        else:
            verdict.counts["doubled in a room"] += 1
            verdict.faults.append(f"doubled in a room: {self.describe(said, occupant)}")

    # What the taps saw

    def _way_in(self, said: Said) -> tuple[list[Seen], list[Seen]]:
        """From a speaker at the other side to the room: given to his bridge, written by the other."""
        def way(tap: Tap) -> list[Seen]:
            return [seen for seen in tap.sightings(said.token) if seen.to == self.rooms[said.room]]
        return way(self.outward[said.speaker.side]), way(self.inward[said.room])

    def _way_out(self, said: Said, occupant: Occupant) -> tuple[list[Seen], list[Seen]]:
        """From the room to an occupant at the other side: given to its bridge, written by the other."""
        def way(tap: Tap) -> list[Seen]:
            return [seen for seen in tap.sightings(said.token) if seen.to == occupant.address]
        return way(self.outward[said.room]), way(self.inward[1 - said.room])

    def _taken(self, said: Said) -> float | None:
        """When the room had it, as far as anybody could see."""
        times = [time for times in said.heard.values() for time in times]
        times += [seen.at for seen in self.outward[said.room].sightings(said.token) if "/" in seen.to]
        return min(times, default=None)

    def _signs(self, room: int, occupant: Occupant) -> list[Seen]:
        """Presence and subjects of a room for an occupant at the other side."""
        return [sign for sign in self.outward[room].signs
                if sign.to == occupant.address and sign.sender.split("/")[0] == self.rooms[room]]

    def _joins(self, room: int, occupant: Occupant) -> list[Seen]:
        return [sign for sign in self.inward[room].signs if sign.is_join and sign.sender == occupant.address
                and sign.to.split("/")[0] == self.rooms[room]]

    def _streams(self, room: int) -> list[Stream]:
        return [stream for stream in self.outward[room].streams if domain_of(self.rooms[room]) in stream.senders]

    def _entered(self, room: int, occupant: Occupant, entry: Entry) -> float:
        """When a room had a client's join: what it said before that was not for him."""
        if occupant.side == room:
            return entry.at
        joins = [sign.at for sign in self._joins(room, occupant) if sign.at > entry.at and not self._since(sign)]
        answers = [sign.at for sign in self._signs(room, occupant)
                   if sign.type == "" and 110 in sign.codes and sign.at > min(joins, default=entry.at)]
        return min(answers, default=entry.at)

    def _asked(self, room: int, occupant: Occupant) -> list[tuple[float, float]]:
        """The joins that a bridge made in his name: from when on it wanted history, and when all was answered."""
        asked = []
        for join in self._joins(room, occupant):
            since = self._since(join)
            answers = [sign.at for sign in self._signs(room, occupant)
                       if sign.is_subject and sign.at > join.at and not sign.is_doubtful]
            if since is not None and answers:
                asked.append((since, min(answers)))
        return asked

    def _since(self, join: Seen) -> float | None:
        """From when on a join wants history, as `time.monotonic()`; None for a client's own, which wants none."""
        history = join.history
        if "since" in history:
            return datetime.fromisoformat(history["since"]).timestamp() - self._wall
        if "seconds" in history:
            return join.at - float(history["seconds"])
        return self.began if int(history.get("maxstanzas", 0)) > 0 else None

    # In words

    def describe(self, said: Said, occupant: Occupant | None) -> str:
        """The story of a message, in seconds since it was said."""
        def clock(at: float) -> str:
            return f"{at - said.at:+.3f} s"

        def story(sightings: list[Seen]) -> str:
            return " ".join(
                f"[{clock(seen.at)} stream {seen.stream.number} place {seen.place}"
                + (" signed" if seen.is_acknowledged else "") + (" delayed" if seen.is_delayed else "")
                + (f", ended {clock(seen.stream.ended)}" if seen.stream.ended else "") + "]"
                for seen in sightings) or "never"

        up, down = self._way_in(said)
        text = f"{said.token} in {self.rooms[said.room]}, said at {clock(said.at)}"
        if said.speaker.side != said.room:
            text += f"; to the speaker's bridge {story(up)}; to the room {story(down)}"
        if said.bounced:
            text += f"; bounced {said.bounced}"
        if occupant is None:
            return text
        copies, handed = self._way_out(said, occupant)
        taken = self._taken(said)
        text += f"; taken {clock(taken) if taken else 'never'}; for {occupant.name}: from the room {story(copies)}, to "
        text += f"his server {story(handed)}, heard {[clock(at) for at in said.heard.get(occupant.name, [])]}"
        for leave in self.inward[said.room].signs:
            if leave.type == "unavailable" and leave.sender == occupant.address:
                text += f"; leave from {leave.to} {clock(leave.at)}"
        for join in self._joins(said.room, occupant):
            since = self._since(join)
            text += f"; join {clock(join.at)} " + ("by himself" if since is None else f"for him, since {clock(since)}")
        for sign in self._signs(said.room, occupant):
            if sign.is_subject:
                text += f"; subject {clock(sign.at)}"
            elif 110 in sign.codes or sign.type == "error":
                text += f"; {sign.type or 'in'} {sorted(sign.codes)} {clock(sign.at)}"
        for side, at in self._server_ends.items():
            text += f"; server of {self.rooms[side]} killed {clock(at)}"
        for side, at in self._bridge_ends.items():
            text += f"; bridge of {self.rooms[side]} killed {clock(at)}"
        for stream in self._streams(said.room):
            if stream.ended and stream.ended > self.began:
                text += f"; stream {stream.number} of the room ended {clock(stream.ended)}"
        return text
