import NIOCore
import PresenceCache
import TestSupport
import Testing
import XMPP

/// The cache does what the model does, whatever happens.
@Suite struct ModelTests {
    private static let bodies = [
        "", "<show>away</show>", "<show>xa</show>", "<show>away</show><status>a &amp; b</status>", "<status>x</status>",
    ]
    /// Some more often than others, so that there is time to know something before it is taken away.
    private static let types: [String?] =
        Array(repeating: nil, count: 20) + Array(repeating: "probe", count: 14)
        + Array(repeating: "unavailable", count: 4)
        + ["subscribe", "subscribe", "subscribed", "subscribed", "unsubscribe", "unsubscribed", "error"]

    @Test(arguments: (1...24).map { UInt64($0) }) func `the cache agrees with the model`(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let interval = Int(seed % 3) * 15
        var policy = PresencePolicy()
        policy.minimumInterval = .seconds(Int64(interval))
        policy.markAfter = .seconds(20)
        policy.unavailableAfter = .seconds(40)
        policy.probeBurst = 0
        var limits = PresenceLimits()
        limits.burst = 1_000
        let test = TestPresence(policy, limits: limits)
        var model = ModelPresence(minimumInterval: interval)
        func pick<T>(_ choices: [T]) -> T { choices[Int.random(in: 0..<choices.count, using: &generator)] }
        var answered = 0
        for step in 0..<2_500 {
            let local = pick(["j@capulet.example", "n@capulet.example", "j@sub.capulet.example"])
            let remote = pick(["r@montague.example", "m@montague.example"])
            let type = pick(Self.types)
            let isBareType = type != nil && type != "unavailable" && type != "probe"
            let localResource = isBareType ? "" : pick(["", "a", "b"])
            let remoteResource = isBareType ? "" : pick(["", "x", "x", "y"])
            let body = type == nil || type == "subscribe" ? pick(Self.bodies) : ""
            let isStamped = type == nil && pick([true, false])
            let context =
                "seed \(seed) step \(step) \(type ?? "available") \(local)/\(localResource) \(remote)/\(remoteResource)"
            switch Int.random(in: 0..<100, using: &generator) {
            case 0..<38:
                let toResource = pick([true, true, true, false]) ? "" : remoteResource
                let stanza = try presence(
                    from: ModelPresence.full(local, localResource), to: ModelPresence.full(remote, toResource), type,
                    (isStamped
                        ? "<delay xmlns='urn:xmpp:delay' from='capulet.example' stamp='2026-01-01T00:00:00Z'/>" : "")
                        + body, id: "\(step)")
                // The stamp of a domain below is another's.
                let isProof = isStamped && local.hasSuffix("@capulet.example")
                let expected = model.local(
                    type, body, stamped: isProof, local: local, resource: localResource, remote: remote,
                    toResource: toResource)
                switch test.local(stanza) {
                case .cross: #expect(expected == .cross, "\(context)")
                case .repeated: #expect(expected == .repeated, "\(context)")
                case .held: #expect(expected == .held, "\(context)")
                case .answered:
                    answered += 1
                    #expect(expected == .answered(test.takeActions().sorted()), "\(context)")
                }
            case 38..<80:
                let toResource = isBareType ? "" : localResource
                let stanza = try presence(
                    from: ModelPresence.full(remote, remoteResource), to: ModelPresence.full(local, toResource), type,
                    body + (isStamped ? Who.stamp : ""))
                model.remote(
                    type, body, stamped: isStamped, remote: remote, resource: remoteResource, local: local,
                    toResource: toResource)
                _ = test.remote(stanza)
            case 80..<83:
                let stanza = try presence(
                    from: ModelPresence.full(local, localResource), to: remote, type, body)
                test.act { cache, now in cache.presenceNotCrossed(stanza, now: now) }
                model.notCrossed(type, body, local: local, resource: localResource, remote: remote)
            case 83 where step.isMultiple(of: 5):
                test.act { cache, now in cache.peerRestarted(now: now) }
                model.peerRestarted()
            case 84:
                test.act { cache, now in cache.linkWentDown(now: now) }
                model.linkWentDown()
            case 85, 86:
                test.act { cache, now in cache.linkCameUp(now: now) }
                model.linkCameUp()
            default:
                let seconds = pick([1, 1, 2, 5, 30, 61, pick([1, 130, 700])])
                test.pass(.seconds(Int64(seconds)))
                model.pass(seconds)
                #expect(test.takeActions().sorted() == model.takeActions().sorted(), "\(context) after \(seconds) s")
            }
            test.pass(.milliseconds(0))
            #expect(test.takeActions().sorted() == model.takeActions().sorted(), "\(context)")
        }
        #expect(answered > 10, "seed \(seed) tries what it should")
    }
}
