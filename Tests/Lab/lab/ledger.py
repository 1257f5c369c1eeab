"""What became of every message between the users of a soak, and whose it was when it was lost."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from .tap import Tap


@dataclass
class Sent:
    token: str
    pair: str
    number: int
    side: int  # of the sender
    at: float
    delivered: list[float] = field(default_factory=list)
    bounced: list[str] = field(default_factory=list)


class Request(NamedTuple):
    """A request of a user. Its id is the token by which taps know it and its answer."""

    user: str
    token: str


@dataclass
class LinkDoubt:
    """What a link that numbers nothing may bring a second time, or late (dialect xep): what was under way on it when a process or
    a node ended."""

    until: float = 0.0  # what a bridge had after this was not under way
    stanzas: set[tuple[str, int]] = field(default_factory=set)  # by bridge and id, as its journal says

    def covers(self, given: list) -> bool:
        """Whether what a bridge was given so may have been under way."""
        return any(seen.at <= self.until for seen in given)


@dataclass
class Verdict:
    """The count of one round."""

    counts: Counter = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def __iadd__(self, other: "Verdict") -> "Verdict":
        self.counts += other.counts
        self.faults += other.faults
        return self


class Ledger:
    """Keeps the books of one round.

    A message passes four hands: the sender's server, his bridge, the other bridge, the receiver's server. Between each
    server and its bridge stands a `Tap`. So it is known which hand had it last, and what that hand had signed for.
    """

    def __init__(self, outward: list[Tap], inward: list[Tap], doubt: LinkDoubt | None = None):
        self.doubt = doubt  # None: the link brings everything once
        # by side: from the server to its bridge, from the bridge to its server
        self.outward, self.inward = outward, inward
        self.sent: dict[str, Sent] = {}
        self.arrivals: dict[str, list[str]] = {}  # pair: tokens as they came
        self.requests: dict[Request, tuple[int, float, list[str]]] = {}

    def send(self, token: str, pair: str, number: int, side: int):
        self.sent[token] = Sent(token, pair, number, side, time.monotonic())

    def deliver(self, token: str):
        if sent := self.sent.get(token):
            sent.delivered.append(time.monotonic())
            self.arrivals.setdefault(sent.pair, []).append(token)

    def bounce(self, token: str, condition: str):
        if sent := self.sent.get(token):
            sent.bounced.append(condition)

    @property
    def open(self) -> list[Sent]:
        """Messages that have neither arrived nor come back."""
        return [sent for sent in self.sent.values() if not sent.delivered and not sent.bounced]

    def in_hand(self, sent: Sent) -> str | None:
        """Who had a message last that went missing: nobody but a server, in words, or None: a bridge has lost it."""
        inward = self.inward[1 - sent.side].sightings(sent.token)
        if inward:
            if any(seen.is_acknowledged for seen in inward):
                return "receiver's server"
            # Where nobody signs, what was written to a stream that lives on was taken.
            if any(seen.place == 0 and not seen.is_doubtful for seen in inward):
                return "receiver's server"
            return "in doubt down" if all(seen.is_doubtful for seen in inward) else None
        outward = self.outward[sent.side].sightings(sent.token)
        if not outward:
            return "sender's server"
        return "in doubt up" if all(seen.is_doubtful for seen in outward) else None

    def close(self) -> Verdict:
        """Counts the round. What counts against the bridges is also listed in words."""
        verdict = Verdict()
        counts = verdict.counts
        doubtful: set[str] = set()
        for sent in self.sent.values():
            counts["sent"] += 1
            sightings = self.inward[1 - sent.side].sightings(sent.token)
            if not sent.delivered:
                if sent.bounced:
                    counts["bounced"] += 1
                elif hand := self.in_hand(sent):
                    counts[hand] += 1
                else:
                    counts["lost"] += 1
                    verdict.faults.append(f"lost: {self.describe(sent)}")
            else:
                counts["delivered"] += 1
                if sent.bounced:
                    counts["bounced though delivered"] += 1
            if len(sent.delivered) > 1:
                doubtful.add(sent.token)
                # The bridge may write again what nobody had signed for, and the server may keep both.
                if len(sightings) > 1 and any(seen.is_doubtful for seen in sightings[:-1]):
                    counts["doubled in doubt"] += 1
                elif len(sightings) <= 1:
                    counts["doubled by receiver's server"] += 1
                elif self._was_under_way(sent):
                    counts["doubled on the link in doubt"] += 1
                else:
                    counts["duplicated"] += 1
                    verdict.faults.append(f"duplicated: {self.describe(sent)}")
            elif len(sightings) > 1 or any(
                    seen.is_doubtful for seen in self.outward[sent.side].sightings(sent.token)):
                doubtful.add(sent.token)
        self._check_order(verdict, doubtful)
        self._check_requests(verdict)
        if self.doubt:
            counts["stanzas in doubt on the link"] += len(self.doubt.stanzas)
            if (doubled := counts["doubled on the link in doubt"]) > len(self.doubt.stanzas):
                verdict.faults.append(f"{doubled} messages came twice over the link, and only {len(self.doubt.stanzas)} "
                                      "stanzas were in doubt on it")
        return verdict

    def _was_under_way(self, sent: Sent) -> bool:
        return self.doubt is not None and self.doubt.covers(self.outward[sent.side].sightings(sent.token))

    def _check_order(self, verdict: Verdict, doubtful: set[str]):
        for pair, tokens in sorted(self.arrivals.items()):
            highest = -1
            for token in dict.fromkeys(tokens):
                number = self.sent[token].number
                if number > highest:
                    highest = number
                elif token in doubtful:
                    verdict.counts["late in doubt"] += 1
                elif self._was_in_order(pair, token):
                    verdict.counts["reordered by receiver's server"] += 1
                elif self._was_under_way(self.sent[token]):
                    verdict.counts["late on the link in doubt"] += 1
                else:
                    verdict.counts["reordered"] += 1
                    verdict.faults.append(f"reordered: {self.describe(self.sent[token])} came after {highest}")

    def _was_in_order(self, pair: str, token: str) -> bool:
        """Whether the bridge gave it to its server before every later one of the pair, and got it before them."""
        sent = self.sent[token]
        for taps in (self.inward[1 - sent.side],):
            mine = taps.sightings(token)
            if not mine:
                return False
            for other in self.sent.values():
                if other.pair == pair and other.number > sent.number and (theirs := taps.sightings(other.token)):
                    if theirs[0].at < mine[0].at:
                        # Out of order to the bridge already?
                        up = self.outward[sent.side]
                        first, second = up.sightings(token), up.sightings(other.token)
                        if not (first and second and second[0].at < first[0].at):
                            return False
        return True

    def _check_requests(self, verdict: Verdict):
        for ident, (side, _, answers) in self.requests.items():
            verdict.counts["requests"] += 1
            if len(answers) > 1:
                # An answer is written again as a message is, where nobody had signed for it.
                handed = self.inward[side].sightings(ident.token)
                if len(handed) <= 1:
                    verdict.counts["answered twice by own server"] += 1
                elif any(seen.is_doubtful for seen in handed[:-1]):
                    verdict.counts["answered twice in doubt"] += 1
                else:
                    verdict.counts["answered twice"] += 1
                    verdict.faults.append(f"answered {len(answers)} times: {ident} {answers}")
            elif not answers:
                verdict.counts["unanswered"] += 1

    def describe(self, sent: Sent) -> str:
        def story(tap: Tap) -> str:
            return " ".join(
                f"stream {seen.stream.number} at {seen.at - sent.at:.3f} s place {seen.place}"
                + (" signed" if seen.is_acknowledged else "")
                + (f" (ended at {seen.stream.ended - sent.at:.3f} s)" if seen.stream.ended else "")
                for seen in tap.sightings(sent.token)) or "never"
        return (f"{sent.token}: to its bridge {story(self.outward[sent.side])}; from the other bridge "
                f"{story(self.inward[1 - sent.side])}; delivered {len(sent.delivered)}, bounced {sent.bounced}")
