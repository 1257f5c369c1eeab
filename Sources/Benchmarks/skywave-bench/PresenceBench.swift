import CAllocationCounter
import Foundation
import NIOCore
import Outbox
import PresenceCache
import SampleTraffic
import SeededRandom
import XMPP

/// The presence cache: what one passing presence and one answered probe cost, and what a cached address takes.
///
/// A contact has one resource and tells one local user of it; there are as many contacts as the table of figures says,
/// a thousand local users, and payloads as clients send them: show and status from a few hundred, capabilities of forty
/// clients, and – in the second run – a photo hash that only he has.
enum PresenceBench {
    private static let locals = 1_000

    static func run(_ runs: Int) {
        flood()
        memory(name: "presence", hasPhoto: false, runs: runs)
        memory(name: "presence-photo", hasPhoto: true, runs: 1)
    }

    private static func address(contact: Int) -> String { "user\(contact * 7_919 % 9_999_991)@hq.example" }
    private static func address(local: Int) -> String { "sailor\(local)@ship7.example" }

    private static func payload(_ contact: Int, _ generator: inout SplitMix64, hasPhoto: Bool) -> String {
        let show = ["", "<show>away</show>", "<show>xa</show>", "<show>dnd</show>"][contact % 4]
        let status =
            generator.next() % 3 == 0
            ? "<status>Watch \(generator.next() % 100), back at \(generator.next() % 4)</status>" : ""
        let client = contact % 40
        let caps =
            "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://client\(client).example/' "
            + "ver='\(client)QgayPKawpkPSDYmwT/WM94uAlu0='/>"
        let photo =
            hasPhoto
            ? "<x xmlns='vcard-temp:x:update'><photo>"
                + String(generator.next(), radix: 16) + String(generator.next(), radix: 16) + "</photo></x>" : ""
        return "\(show)\(status)<priority>\(contact % 2 * 5)</priority>\(caps)\(photo)"
    }

    /// Bytes of this process in memory, after what was freed is given back.
    private static func resident() -> Int {
        skywave_trim_heap()
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
        let fields = text.split(separator: " ")
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * 4_096 : 0
    }

    private static func memory(name: String, hasPhoto: Bool, runs: Int) {
        let count = 1_000_000
        var policy = PresencePolicy()
        policy.probeBurst = 0
        var now = NIODeadline.now()
        var generator = SplitMix64(seed: 11)
        let reader = StanzaReader()
        func probe(_ contact: Int) -> Stanza? {
            try? reader.read(
                ByteBuffer(
                    string:
                        "<presence to='\(address(contact: contact))' from='\(address(local: contact % locals))/deck' "
                        + "type='probe'/>"))
        }
        let before = resident()
        var cache = PeerPresence(policy: policy, key: (3, 4), now: now)
        var bytes = 0
        let stamp = "<delay xmlns='urn:xmpp:delay' from='hq.example' stamp='2026-01-01T00:00:00Z'/>"
        for contact in 0..<count {
            guard let probe = probe(contact) else { continue }
            _ = cache.localPresenceReceived(probe, now: now)
            // The answer to the probe, then what the contact tells all.
            let body = payload(contact, &generator, hasPhoto: hasPhoto)
            guard
                let answer = try? reader.read(
                    ByteBuffer(
                        string:
                            "<presence to='\(address(local: contact % locals))/deck' "
                            + "from='\(address(contact: contact))/"
                            + "client.\(String(generator.next() % 0xffff_ffff, radix: 36))'>\(body)\(stamp)</presence>")
                )
            else { continue }
            bytes += answer.byteCount - stamp.utf8.count
            _ = cache.remotePresenceReceived(answer, now: now)
        }
        let used = resident() - before
        precondition(cache.entryCount == count && cache.pairCount == count, "\(name): \(cache.debugState)")
        let perAddress = Double(used) / Double(count)
        report("\(name)-cached-mebibytes", Double(used) / 1_048_576, "MiB of 1 000 000 addresses", .atMost(400))
        report("\(name)-bytes-per-address", perAddress, "bytes")
        report("\(name)-text-bytes-per-address", Double(cache.textByteCount) / Double(count), "bytes")
        report("\(name)-stanza-bytes", Double(bytes) / Double(count), "bytes")
        now = now + .minutes(2)

        // One in seven, from all over the memory.
        let chosen = (0..<20_000).map { $0 * 49_999 % count }
        let probes = chosen.compactMap { probe($0) }
        var answers = 0
        let answering = Measurement(items: probes.count, runs: runs) {
            for probe in probes {
                if case .answered(let number) = cache.localPresenceReceived(probe, now: now) { answers += number }
                while cache.nextAction() != nil {}
            }
        }
        precondition(answers == probes.count * (runs + min(runs, 2)), "\(name): \(answers) answers")
        report("\(name)-answered-probe", 1e6 / answering.rate, "microseconds", .atMost(2))
        let passing = chosen.compactMap { contact in
            try? reader.read(
                ByteBuffer(
                    string:
                        "<presence to='\(address(contact: contact))' from='\(address(local: contact % locals))/deck'>"
                        + payload(contact, &generator, hasPhoto: hasPhoto) + "</presence>"))
        }
        for stanza in passing { _ = cache.localPresenceReceived(stanza, now: now) }
        var repeats = 0
        let repeating = Measurement(items: passing.count, runs: runs) {
            for stanza in passing where cache.localPresenceReceived(stanza, now: now) == .repeated { repeats += 1 }
        }
        precondition(repeats == passing.count * (runs + min(runs, 2)), "\(name): \(repeats) repeats")
        report("\(name)-check-repeated", 1e6 / repeating.rate, "microseconds", .atMost(0.5))
        let others = Array(passing.dropFirst(1) + passing.prefix(1))
        let changed = zip(passing, others).compactMap { first, second in
            let body = second.root.children.map(\.xml).joined()
            return try? reader.read(
                ByteBuffer(string: "<presence to='\(first.toText)' from='\(first.fromText)'>\(body)<x/></presence>"))
        }
        let changing = Measurement(items: passing.count * 2, runs: runs) {
            for stanza in changed { _ = cache.localPresenceReceived(stanza, now: now) }
            for stanza in passing { _ = cache.localPresenceReceived(stanza, now: now) }
        }
        report("\(name)-check-changed", 1e6 / changing.rate, "microseconds", .atMost(0.5))
        let few = Array(passing.prefix(64))
        let warm = Measurement(items: few.count * 300, runs: runs) {
            for _ in 0..<300 { for stanza in few { _ = cache.localPresenceReceived(stanza, now: now) } }
        }
        report("\(name)-check-warm", 1e6 / warm.rate, "microseconds")
    }

    /// A million made-up addresses of one peer, at the default limits and at small ones.
    private static func flood() {
        var limits = PresenceLimits()
        limits.pairs = 20_000
        limits.entries = 30_000
        limits.textBytes = 16 << 20
        let reader = StanzaReader()
        let before = resident()
        var cache = PeerPresence(limits: limits, key: (5, 6), now: .now())
        let now = NIODeadline.now()
        for number in 0..<1_000_000 {
            let from = "u\(number % 3 == 0 ? number : number % 1_000)@hq.example/r\(number)"
            if let stanza = try? reader.read(
                ByteBuffer(
                    string: "<presence to='sailor@ship7.example' from='\(from)'><status>\(number)</status></presence>"))
            {
                _ = cache.remotePresenceReceived(stanza, now: now)
            }
        }
        precondition(cache.pairCount <= 20_000 && cache.entryCount <= 30_000, cache.debugState)
        report("presence-flood-mebibytes", Double(resident() - before) / 1_048_576, "MiB", .atMost(32))
        report("presence-flood-forgotten", Double(cache.counts.forgotten), "pairs")
    }
}
