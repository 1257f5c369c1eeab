package import NIOCore

/// `[message]`, or the settings of one `[[message.rule]]`. What is `nil` is not said.
package struct MessageSettings: Equatable, Sendable {
    /// `drop-when-only`: a message that holds nothing else goes without a word.
    package var dropWhenOnly: PayloadList?
    /// `strip` or `keep-only`.
    package var folding: Folding?
    /// `strip-in-chat`: goes from all messages but those of rooms.
    package var stripInChat: PayloadList?
    /// `keep`, in rules only: takes payloads out of what was said before.
    package var keep: PayloadList?
    /// `refuse`: a message that holds one of them comes back to its sender.
    package var refuse: PayloadList?
    /// `max-body-bytes`: of the text itself in UTF-8; `.some(nil)` is `"none"`.
    package var maximumBodyBytes: Sourced<Int?>?
    /// `max-bytes`: of the whole folded message.
    package var maximumBytes: Sourced<Int?>?

    package init() {}

    /// Takes what `nearer` says in place of what was said; a list is replaced as a whole.
    mutating func replace(by nearer: MessageSettings) {
        dropWhenOnly = nearer.dropWhenOnly ?? dropWhenOnly
        folding = nearer.folding ?? folding
        stripInChat = nearer.stripInChat ?? stripInChat
        keep = nearer.keep ?? keep
        refuse = nearer.refuse ?? refuse
        maximumBodyBytes = nearer.maximumBodyBytes ?? maximumBodyBytes
        maximumBytes = nearer.maximumBytes ?? maximumBytes
    }
}

/// How payloads are chosen: by what goes or by what stays, never both.
package enum Folding: Equatable, Sendable {
    case strip(PayloadList)
    /// With the place of the key, which decides about all that it does not name.
    case keepOnly(PayloadList, RuleOrigin)
}

/// How much of presence crosses.
package enum PresenceMode: String, CaseIterable, Sendable {
    /// As it is.
    case pass
    /// Without the payloads that `strip` or `keep-only` says.
    case fold
    /// `show` and `priority` only, and what hard rules keep.
    case availability
    /// None but what hard rules keep: `unavailable`, subscriptions, rooms.
    case none
}

/// `link-down = { mark-after = "5m", unavailable-after = "1h" }`; `"keep"` is neither.
package struct LinkDownSettings: Equatable, Sendable {
    /// Then a mark stands behind their status.
    package var markAfter: TimeAmount?
    /// Then they are unavailable.
    package var unavailableAfter: TimeAmount?

    package init(markAfter: TimeAmount? = nil, unavailableAfter: TimeAmount? = nil) {
        self.markAfter = markAfter
        self.unavailableAfter = unavailableAfter
    }
}

/// `[presence]`, or the settings of one `[[presence.rule]]`.
package struct PresenceSettings: Equatable, Sendable {
    package var mode: Sourced<PresenceMode>?
    package var folding: Folding?
    /// `keep`, in rules only.
    package var keep: PayloadList?
    /// `min-interval`: the shortest time between two availabilities of one resource; zero is none.
    package var minimumInterval: Sourced<TimeAmount>?
    /// `max-status-bytes`: a longer status text is cut.
    package var maximumStatusBytes: Sourced<Int?>?
    /// `room-history`: how much of a room's history a join may ask for.
    package var roomHistory: Sourced<RoomHistoryLimit?>?
    /// `link-down`, not in rules: how the other site's users are shown here while the link is down.
    package var linkDown: LinkDownSettings?

    package init() {}

    mutating func replace(by nearer: PresenceSettings) {
        linkDown = nearer.linkDown ?? linkDown
        mode = nearer.mode ?? mode
        folding = nearer.folding ?? folding
        keep = nearer.keep ?? keep
        minimumInterval = nearer.minimumInterval ?? minimumInterval
        maximumStatusBytes = nearer.maximumStatusBytes ?? maximumStatusBytes
        roomHistory = nearer.roomHistory ?? roomHistory
    }
}

/// What happens to an IQ request that no list names.
package enum IQDefault: String, CaseIterable, Sendable {
    case allow, refuse
}

/// `[iq]`, or the settings of one `[[iq.rule]]`.
package struct IQSettings: Equatable, Sendable {
    package var fallback: Sourced<IQDefault>?
    package var allow: PayloadList?
    package var refuse: PayloadList?
    /// `answer-locally`: what the bridge may answer itself where it knows the answer for certain.
    package var answerLocally: PayloadList?
    /// `vcard-lifetime`: the age from which on a vCard is asked for again; zero: each time.
    package var vCardLifetime: Sourced<TimeAmount>?
    /// `strip`: parts of answers and requests that go, such as the photo of a vCard.
    package var strip: PayloadList?
    /// `max-iq-bytes`: a larger request is refused, in place of a larger answer an error goes.
    package var maximumBytes: Sourced<Int?>?
    /// How near each list was written: of two lists that name the same payload the nearer wins.
    var allowRank = 0
    var refuseRank = 0

    package init() {}

    mutating func replace(by nearer: IQSettings) {
        fallback = nearer.fallback ?? fallback
        let rank = max(allowRank, refuseRank) + 1
        if let list = nearer.allow { (allow, allowRank) = (list, rank) }
        if let list = nearer.refuse { (refuse, refuseRank) = (list, rank) }
        answerLocally = nearer.answerLocally ?? answerLocally
        vCardLifetime = nearer.vCardLifetime ?? vCardLifetime
        strip = nearer.strip ?? strip
        maximumBytes = nearer.maximumBytes ?? maximumBytes
    }
}
