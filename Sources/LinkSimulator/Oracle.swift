import XMPP

/// What the checks call one thing on its way.
enum DeliveryKey: Hashable {
    /// A message or an IQ request, by the number of its record, towards its recipient.
    case forward(Int)
    /// The error or the answer to it, towards its sender.
    case back(Int)
    /// Presence between a user and a room.
    case room(user: Int, room: Int)
}

/// Knows what was sent, sees what arrives, and says what is wrong.
///
/// In doubt is only what the document names: what a server's stream management had not acknowledged when a stream died;
/// without it what lay in socket buffers or was read and not yet durable; and what a restored backup may know or not know.
final class Oracle {
    enum Kind {
        case message, request, roomMessage
    }

    struct Record {
        let kind: Kind
        let id: String
        let text: String
        let origin: Int
        let destination: Int
        let pair: Int
        let number: Int
        let sentAt: Int64

        var forward = Way()
        var back = Way()
        /// Errors that the sender's own server made for it.
        var serverBounces = 0
        /// It may be gone between its sender's server and the bridge.
        var lostAtOrigin = false
        /// Its server had no acknowledgement for it when a stream ended.
        var isUnacknowledged = false
        /// The bridge refused it: it was never taken.
        var isRefused = false
        /// In which run of the bridge's process.
        var refusingRun = 0
        /// The room itself refused it.
        var isRefusedByRoom = false
        /// A site's journal was replaced by an older one after it was sent.
        var isTainted = false
        /// That older journal holds it: it may come twice, but it has to come.
        var isKept = false
    }

    /// One direction of a record.
    struct Way {
        var deliveries = 0
        /// The bridge durably knows that the local server has it.
        var isSettled = false
        /// It may have been lost between the bridge and the server that it was written to.
        var isLost = false
        /// The stream that it last came on.
        var stream: ServerStream?
        /// An error that the bridge wrote while its journal took nothing.
        var isUnrecorded = false
    }

    private(set) var records: [Record] = []
    private var recordsByID: [String: Int] = [:]
    private var pairHighest: [Int: Int] = [:]
    private var restoredSites: Set<Int> = []
    private(set) var roomTaints: Set<DeliveryKey> = []
    private(set) var failures: [String] = []
    /// Called with each failure as it is found.
    var onFailure: (String) -> Void = { _ in }

    /// What a bridge gives to its server once more after the end of one run of its process, at most, by peer.
    var maximumRepeats = Int.max
    private var repeatsByRun: [RepeatKey: Int] = [:]

    private struct RepeatKey: Hashable {
        var site: Int
        var run: Int
        var peer: Int
    }

    /// By site.
    private var latestRuns: [Int: Int] = [:]

    // What the windows held.
    private(set) var largestRepeat = 0
    private(set) var repeatedInDoubt = 0
    private(set) var lostInDoubt = 0
    private(set) var bouncedInDoubt = 0
    private(set) var delivered = 0
    private(set) var bounced = 0
    private(set) var answered = 0

    func fail(_ text: String) {
        guard failures.count < 20 else { return }
        failures.append(text)
        onFailure(text)
    }

    // MARK: What was sent

    /// - Parameter copyFor: the bare address that it is for, where others get the same under the same id.
    func sent(
        _ kind: Kind, id: String, copyFor: String? = nil, text: String, origin: Int, destination: Int, pair: Int,
        number: Int, at time: Int64
    ) -> Int {
        records.append(
            Record(
                kind: kind, id: id, text: text, origin: origin, destination: destination, pair: pair, number: number,
                sentAt: time))
        recordsByID[copyFor.map { "\(id) \($0)" } ?? id] = records.count - 1
        return records.count - 1
    }

    /// What a stanza is to the checks; nil where it is nothing that is followed.
    func key(of stanza: Stanza) -> DeliveryKey? {
        guard stanza.kind != .presence, let id = SimulatedOrigin.id(of: stanza) ?? stanza.id, let number = record(id, stanza)
        else { return nil }
        switch (stanza.kind, stanza.type) {
        case (.message, .error), (.iq, .result), (.iq, .error): return .back(number)
        // Reflections of a room keep the id; they come from the room.
        case (.message, .groupchat): return records[number].kind == .roomMessage && stanza.to?.resource == nil
            ? .forward(number) : nil
        default: return .forward(number)
        }
    }

    private func record(_ id: String, _ stanza: Stanza) -> Int? {
        if let number = recordsByID[id] { return number }
        let recipient = stanza.type == .error ? stanza.from : stanza.to
        return recipient.flatMap { recordsByID["\(id) \($0.bare)"] }
    }

    // MARK: What arrives

    /// A stanza was given to a local server by a bridge. True when it is new.
    func arrived(_ key: DeliveryKey, _ stanza: Stanza, on stream: ServerStream) -> Bool {
        switch key {
        case .forward(let number):
            let isNew = note(number, \.forward, "delivered", on: stream)
            if isNew { forwardArrived(number, stanza) }
            return isNew
        case .back(let number):
            if stanza.errorCondition == .resourceConstraint {
                records[number].isRefused = true
                records[number].refusingRun = stream.bridgeRun
            }
            let isNew = note(number, \.back, "answered", on: stream)
            if isNew { records[number].kind == .request ? (answered += 1) : (bounced += 1) }
            return isNew
        case .room:
            return true
        }
    }

    /// A bridge writes a stanza to its server.
    func written(_ key: DeliveryKey, isStalled: Bool) {
        if isStalled, case .back(let number) = key { records[number].back.isUnrecorded = true }
        let (number, isSettled) =
            switch key {
            case .forward(let number): (number, records[number].forward.isSettled)
            case .back(let number): (number, records[number].back.isSettled)
            case .room: (0, false)
            }
        if case .back = key, isRefusedAgain(number) { return }
        guard isSettled, !records[number].isTainted else { return }
        fail("\(describe(number)) was written once more although the bridge durably knew that the server has it")
    }

    private func note(
        _ number: Int, _ way: WritableKeyPath<Record, Way>, _ what: String, on stream: ServerStream
    ) -> Bool {
        var state = records[number][keyPath: way]
        defer { records[number][keyPath: way] = state }
        state.deliveries += 1
        let earlier = state.stream
        state.stream = stream
        guard state.deliveries > 1 else { return true }
        if records[number].isTainted || way == \.back && isRefusedAgain(number) {
            repeatedInDoubt += 1
        } else if let earlier, earlier.socket.isBridgeOpen {
            fail("\(describe(number)) was \(what) twice without any stream having died")
        } else {
            repeatedInDoubt += 1
            if let earlier, !state.isUnrecorded { countRepeat(number, earlier) }
        }
        return false
    }

    /// Its server sent it again because it had no acknowledgement; a refusal is said again then.
    private func isRefusedAgain(_ number: Int) -> Bool { records[number].isUnacknowledged && records[number].isRefused }

    private func countRepeat(_ number: Int, _ earlier: ServerStream) {
        let site = earlier.server.site.index
        let record = records[number]
        let key = RepeatKey(
            site: site, run: earlier.bridgeRun, peer: site == record.origin ? record.destination : record.origin)
        let count = repeatsByRun[key, default: 0] + 1
        repeatsByRun[key] = count
        largestRepeat = max(largestRepeat, count)
        if count > maximumRepeats {
            fail("site \(site) gave its server more than \(maximumRepeats) stanzas of site \(key.peer) twice")
        }
    }

    private func forwardArrived(_ number: Int, _ stanza: Stanza) {
        let record = records[number]
        if record.kind != .request {
            delivered += 1
            let text = stanza.root.children.first { $0.name == "body" }?.text
            if text != record.text { fail("\(describe(number)) arrived with another text") }
        }
        guard !record.isTainted else { return }
        let highest = pairHighest[record.pair] ?? -1
        if record.number < highest {
            fail("\(describe(number)) arrived after number \(highest) of its pair")
        } else {
            pairHighest[record.pair] = record.number
        }
    }

    /// The bridge durably knows that the local server has it.
    func settled(_ key: DeliveryKey) {
        switch key {
        case .forward(let number): records[number].forward.isSettled = true
        case .back(let number): records[number].back.isSettled = true
        case .room: break
        }
    }

    /// The sender's own server gave it back.
    func serverBounced(_ key: DeliveryKey) {
        guard case .forward(let number) = key else { return }
        records[number].serverBounces += 1
    }

    /// A stream ended, and the sender's server has no acknowledgement: it may send again what was refused.
    func unacknowledged(_ key: DeliveryKey) {
        guard case .forward(let number) = key else { return }
        records[number].isUnacknowledged = true
    }

    /// A process of a site's bridge begins.
    func processStarted(site: Int, run: Int) { latestRuns[site] = run }

    func refusedByRoom(_ number: Int) { records[number].isRefusedByRoom = true }

    // MARK: What may be gone

    /// It may have been lost between its server and the bridge, in a stream without stream management.
    func lostTowardsBridge(_ key: DeliveryKey) {
        switch key {
        case .forward(let number): records[number].lostAtOrigin = true
        // The near bridge answers instead when the time is over.
        case .back: break
        case .room: roomTaints.insert(key)
        }
    }

    /// It may have been lost between the bridge and the server, in a stream without stream management.
    func lostTowardsServer(_ key: DeliveryKey) {
        switch key {
        case .forward(let number): records[number].forward.isLost = true
        case .back(let number): records[number].back.isLost = true
        case .room: roomTaints.insert(key)
        }
    }

    /// The journal of a site was replaced by an older one, which holds `kept`.
    func restored(site: Int, kept: [DeliveryKey]) {
        for number in records.indices where records[number].origin == site || records[number].destination == site {
            records[number].isTainted = true
            // An earlier restore may have kept what this one has lost.
            records[number].isKept = false
        }
        restoredSites.insert(site)
        for case .forward(let number) in kept { records[number].isKept = true }
    }

    func wasRestored(_ site: Int) -> Bool { restoredSites.contains(site) }

    func taintRoom(_ key: DeliveryKey) { roomTaints.insert(key) }

    // MARK: The end

    /// Whether everything that was sent has found its end.
    var isSettled: Bool { !records.indices.contains { verdict($0) != nil && isOpen($0) } }

    private func isOpen(_ number: Int) -> Bool {
        let record = records[number]
        return record.forward.deliveries == 0 || record.kind == .request ? record.back.deliveries == 0 : false
    }

    func checkEnd() {
        for number in records.indices {
            if let text = verdict(number) { fail(text) } else { countDoubt(number) }
        }
    }

    /// What is wrong with the end of a record.
    private func verdict(_ number: Int) -> String? {
        let record = records[number]
        guard !record.isTainted else {
            let isLost = record.isKept && record.kind != .request && record.forward.deliveries + record.back.deliveries == 0
            return isLost && !record.forward.isLost && !record.back.isLost
                ? "\(describe(number)) was lost although the restored journal holds it" : nil
        }
        switch record.kind {
        case .message, .roomMessage:
            if record.forward.deliveries > 0, record.back.deliveries > 0 {
                if record.isRefusedByRoom || !record.forward.isSettled { return nil }
                // Refused, and sent again by a server that had no acknowledgement for it, to a process that knew nothing of it.
                if isRefusedAgain(number), (latestRuns[record.origin] ?? 0) > record.refusingRun { return nil }
                return "\(describe(number)) was delivered and bounced"
            }
            if record.forward.deliveries + record.back.deliveries > 0 { return nil }
            if record.serverBounces > 0 || record.lostAtOrigin || record.forward.isLost || record.back.isLost {
                return nil
            }
            return "\(describe(number)) was lost"
        case .request:
            if record.back.deliveries + record.serverBounces > 0 { return nil }
            if record.lostAtOrigin || record.back.isLost { return nil }
            return "\(describe(number)) was never answered"
        }
    }

    private func countDoubt(_ number: Int) {
        let record = records[number]
        let isResolved =
            record.kind == .request
            ? record.back.deliveries > 0 : record.forward.deliveries + record.back.deliveries > 0
        if record.serverBounces > 0 {
            bouncedInDoubt += 1
        } else if !isResolved {
            lostInDoubt += 1
        }
    }

    func describe(_ number: Int) -> String {
        let record = records[number]
        let kind =
            switch record.kind {
            case .message: "message"
            case .request: "request"
            case .roomMessage: "room message"
            }
        return "\(kind) \(record.id) (record \(number), pair \(record.pair), number \(record.number), "
            + "site \(record.origin) to \(record.destination), sent at \(record.sentAt / 1_000_000) ms)"
    }
}
