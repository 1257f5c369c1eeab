/// The rules of the presence cache once more, with dictionaries and strings, seconds for time, and without any bound.
/// Written from docs/presence.md to be compared with; slow and plain.
struct ModelPresence {
    enum Verdict: Equatable {
        case cross, repeated, held
        case answered([String])
    }

    struct Told {
        var body: String
        var at: Int
        var isDirected = false
        var shown = 0
        var isOwed = false
        var isRetold = false
        var waiting: (body: String, until: Int)?
    }

    struct Pair {
        var isAuthorised = false
        var isKnown = false
        var knownAt = 0
        var knownRun = 0
        var isSeen = false
        var isProbing = false
        var probeAt = 0
        var prober = ""
        var isProbed = false
        var subscribe: (body: String, at: Int)?
        var isFollowing = false
        /// By the local resource.
        var outbound: [String: Told] = [:]
        /// By the contact's resource and the local resource that it was directed to.
        var inbound: [[String]: Told] = [:]
    }

    let minimumInterval: Int
    let markAfter = 20
    let unavailableAfter = 40
    private(set) var time = 0
    private var run = 0
    private var isUp = true
    private var lostAt: Int?
    private var restoreAt: Int?
    private var owedAt: Int?
    private var shown = 0
    private var pairs: [[String]: Pair] = [:]
    private(set) var actions: [String] = []

    init(minimumInterval: Int) { self.minimumInterval = minimumInterval }

    mutating func takeActions() -> [String] {
        defer { actions = [] }
        return actions
    }

    static func xml(_ to: String, _ from: String, _ type: String?, _ body: String) -> String {
        "<presence to='\(to)' from='\(from)'\(type.map { " type='\($0)'" } ?? "")"
            + (body.isEmpty ? "/>" : ">\(body)</presence>")
    }

    static func full(_ bare: String, _ resource: String) -> String { resource.isEmpty ? bare : "\(bare)/\(resource)" }

    private func marked(_ body: String) -> String {
        body.hasSuffix("</status>") ? body.dropLast(9) + " (link down)</status>" : body + "<status>(link down)</status>"
    }

    // MARK: Local

    mutating func local(
        _ type: String?, _ body: String, stamped: Bool, local: String, resource: String, remote: String,
        toResource: String
    ) -> Verdict {
        let key = [remote, local]
        var pair = pairs[key] ?? Pair()
        defer { pairs[key] = pair }
        switch type {
        case nil:
            if pair.isProbed, stamped { pair.isSeen = true }
            guard toResource.isEmpty else {
                if pair.isProbed, stamped, pair.outbound[resource] == nil {
                    pair.outbound[resource] = Told(body: body, at: time, isRetold: true)
                }
                return .cross
            }
            guard var told = pair.outbound[resource] else {
                pair.outbound[resource] = Told(body: body, at: time)
                return .cross
            }
            defer { pair.outbound[resource] = told }
            let crossed = Told(body: body, at: time)
            if told.isOwed || told.isRetold || pair.isProbed && stamped {
                told = crossed
                return .cross
            }
            if told.body == body {
                told.waiting = nil
                if pair.isSeen || time - told.at < 600 { return .repeated }
                told = crossed
                return .cross
            }
            let until = told.at + minimumInterval
            guard until > time else {
                told = crossed
                return .cross
            }
            told.waiting = (body, until)
            return .held
        case "unavailable":
            if resource.isEmpty {
                if pair.isProbed { pair.isSeen = true }
                pair.isProbed = false
            }
            guard toResource.isEmpty else { return .cross }
            if resource.isEmpty { pair.outbound = [:] }
            pair.outbound[resource] = nil
            return .cross
        case "probe":
            guard toResource.isEmpty else { return .cross }
            if pair.isAuthorised, pair.isKnown, pair.knownRun == run, time - pair.knownAt >= 60,
                time - pair.knownAt < 86_400
            {
                return .answered(answers(pair, remote, Self.full(local, resource)))
            }
            if pair.isProbing, pair.prober == resource, time - pair.probeAt < 120 { return .repeated }
            pair.isProbing = true
            pair.isKnown = false
            pair.probeAt = time
            pair.prober = resource
            return .cross
        case "subscribe":
            forgetTold(&pair, remote, local)
            if let subscribe = pair.subscribe, subscribe.body == body, time - subscribe.at < 86_400 { return .repeated }
            pair.subscribe = (body, time)
            return .cross
        case "subscribed":
            forgetTold(&pair, remote, local)
            pair.isSeen = true
        case "unsubscribe":
            forgetTold(&pair, remote, local)
            pair.subscribe = nil
            deauthorise(&pair)
        case "unsubscribed":
            forgetTold(&pair, remote, local)
            pair.isSeen = false
            pair.isProbed = false
        default:
            pair.isSeen = false
            pair.isProbed = false
        }
        return .cross
    }

    private func answers(_ pair: Pair, _ remote: String, _ to: String) -> [String] {
        var answers: [String] = []
        for (key, told) in pair.inbound where !told.isDirected && told.shown < 2 {
            let body = told.shown == 1 ? marked(told.body) : told.body
            answers.append("local: " + Self.xml(to, Self.full(remote, key[0]), nil, body))
        }
        return answers.isEmpty ? ["local: " + Self.xml(to, remote, "unavailable", "")] : answers.sorted()
    }

    private mutating func forgetTold(_ pair: inout Pair, _ remote: String, _ local: String) {
        for (resource, told) in pair.outbound {
            guard let waiting = told.waiting else { continue }
            actions.append("link: " + Self.xml(remote, Self.full(local, resource), nil, waiting.body))
        }
        pair.outbound = [:]
    }

    private func deauthorise(_ pair: inout Pair) {
        pair.isAuthorised = false
        makeUnknown(&pair)
        pair.inbound = pair.inbound.filter { $0.value.shown < 2 }
        direct(&pair)
    }

    private func makeUnknown(_ pair: inout Pair) {
        pair.isKnown = false
        pair.isProbing = false
        pair.isFollowing = false
    }

    private func direct(_ pair: inout Pair) {
        for key in pair.inbound.keys { pair.inbound[key]?.isDirected = true }
    }

    mutating func notCrossed(_ type: String?, _ body: String, local: String, resource: String, remote: String) {
        guard var pair = pairs[[remote, local]] else { return }
        if type == "probe" { pair.isProbing = false }
        if type == "subscribe" { pair.subscribe = nil }
        if type == nil, var told = pair.outbound[resource], told.body == body, !told.isOwed {
            told.isOwed = true
            pair.outbound[resource] = told
            if isUp { owedAt = owedAt ?? time + 60 }
        }
        pairs[[remote, local]] = pair
    }

    // MARK: Remote

    mutating func remote(
        _ type: String?, _ body: String, stamped: Bool, remote: String, resource: String, local: String,
        toResource: String
    ) {
        let key = [remote, local]
        guard var pair = pairs[key] ?? (type == nil || type == "probe" ? Pair() : nil) else { return }
        defer {
            pairs[key] = pair
            if !isUp { show() }
        }
        switch type {
        case nil:
            let isProof = stamped && toResource == pair.prober
            if isProof, pair.isProbing {
                pair.isAuthorised = true
                pair.isProbing = false
                direct(&pair)
                become(known: &pair, time)
            }
            let isAnswer = isProof && pair.isKnown && time - pair.knownAt < 60
            let isTold = pair.isAuthorised && (toResource.isEmpty || isAnswer)
            let place = [resource, isTold ? "" : toResource]
            if pair.inbound[place] == nil, !pair.isSeen { forgetTold(&pair, remote, local) }
            pair.inbound[place] = Told(body: body, at: time, isDirected: !isTold)
            if isTold, pair.isFollowing { become(known: &pair, time) }
        case "unavailable":
            pair.inbound = pair.inbound.filter { key, _ in
                let isIt = resource.isEmpty || key[0] == resource
                let isThere = toResource.isEmpty || key[1] == toResource || resource.isEmpty && key[1].isEmpty
                return !(isIt && isThere)
            }
            guard resource.isEmpty, pair.isProbing || pair.isAuthorised else { return }
            pair.isAuthorised = true
            pair.isProbing = false
            become(known: &pair, time - 60)
        case "probe":
            for (resource, told) in pair.outbound {
                var retold = Told(body: told.body, at: told.at, isRetold: true)
                if let waiting = told.waiting {
                    actions.append("link: " + Self.xml(remote, Self.full(local, resource), nil, waiting.body))
                    retold.body = waiting.body
                }
                pair.outbound[resource] = retold
            }
            pair.isProbed = true
        case "subscribe":
            forgetTold(&pair, remote, local)
        case "subscribed":
            forgetTold(&pair, remote, local)
            guard pair.subscribe != nil else { return }
            pair.subscribe = nil
            direct(&pair)
            makeUnknown(&pair)
            pair.isAuthorised = true
            pair.isFollowing = true
        case "unsubscribe":
            forgetTold(&pair, remote, local)
            pair.isSeen = false
            pair.isProbed = false
        default:
            forgetTold(&pair, remote, local)
            pair.subscribe = nil
            deauthorise(&pair)
        }
    }

    private func become(known pair: inout Pair, _ at: Int) {
        pair.isKnown = true
        pair.isFollowing = false
        pair.knownAt = at
        pair.knownRun = run
    }

    // MARK: Link and time

    mutating func peerRestarted() { run += 1 }

    mutating func linkWentDown() {
        isUp = false
        restoreAt = nil
        if lostAt == nil { lostAt = time }
        show()
    }

    mutating func linkCameUp() {
        isUp = true
        if shown == 0 { lostAt = nil } else { restoreAt = time + 10 }
        owedAt = nil
        giveOwed()
    }

    private mutating func show() {
        for (key, pair) in pairs {
            for (place, told) in pair.inbound where told.shown != shown && (shown == 0 || !isUp) {
                pairs[key]?.inbound[place]?.shown = shown
                let body = shown == 0 ? told.body : shown == 1 ? marked(told.body) : ""
                actions.append(
                    "local: "
                        + Self.xml(
                            Self.full(key[1], place[1]), Self.full(key[0], place[0]), shown == 2 ? "unavailable" : nil,
                            body))
            }
        }
    }

    private mutating func giveOwed() {
        guard isUp else { return }
        for (key, pair) in pairs {
            for (resource, told) in pair.outbound where told.isOwed && told.waiting == nil {
                pairs[key]?.outbound[resource]?.isOwed = false
                pairs[key]?.outbound[resource]?.at = time
                actions.append("link: " + Self.xml(key[0], Self.full(key[1], resource), nil, told.body))
            }
        }
    }

    mutating func pass(_ seconds: Int) {
        for _ in 0..<seconds {
            time += 1
            for (key, pair) in pairs {
                for (resource, told) in pair.outbound {
                    guard let waiting = told.waiting, waiting.until <= time else { continue }
                    pairs[key]?.outbound[resource] = Told(body: waiting.body, at: time)
                    actions.append("link: " + Self.xml(key[0], Self.full(key[1], resource), nil, waiting.body))
                }
            }
            if !isUp, let lostAt {
                shown = lostAt + unavailableAfter <= time ? 2 : lostAt + markAfter <= time ? 1 : 0
                show()
            }
            if isUp, let restoreAt, restoreAt <= time {
                self.restoreAt = nil
                lostAt = nil
                shown = 0
                show()
            }
            if let owedAt, owedAt <= time {
                self.owedAt = nil
                giveOwed()
            }
        }
    }
}
