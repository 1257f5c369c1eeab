import Foundation
import NIOCore
import Profiles
import SampleTraffic
import XMPP

/// What applying each shipped profile to generated traffic costs, and what it leaves of it before compression.
enum ProfileBench {
    static func run(runs: Int) {
        let library = shippedProfiles()
        let stanzas = Self.stanzas(20_000)
        let bytes = stanzas.reduce(0) { $0 + $1.byteCount }
        for name in ["lossless", "satcom", "vhf", "hf", "hf-minimal", "chat-only"] {
            guard let profile = try? CompiledProfile(library.profile(named: name)) else {
                print("not measured: profile \(name) could not be read")
                continue
            }
            var passed: [Stanza] = []
            var folded: [Stanza] = []
            var left = 0
            for stanza in stanzas {
                switch profile.apply(stanza, direction: .out) {
                case .pass, .answerLocally(otherwise: nil):
                    passed.append(stanza)
                    left += stanza.byteCount
                case .fold(let rest), .truncate(let rest):
                    folded.append(stanza)
                    left += rest.byteCount
                case .drop, .refuse, .answerLocally: break
                }
            }
            report("profile-\(name)", measure(profile, stanzas, runs).rate, "stanzas/s")
            report("profile-\(name)-bytes", 100 * Double(left) / Double(bytes), "percent of what came")
            measureGroup(profile, "pass", passed, runs, most: 500, allocations: 0)
            measureGroup(profile, "fold", folded, runs, most: 1_000, allocations: nil)
        }
    }

    /// The profiles of the package that this was built from.
    static func shippedProfiles(file: String = #filePath) -> ProfileLibrary {
        // Sources/Benchmarks/skywave-bench/<this file>
        let package = (0..<4).reduce(URL(fileURLWithPath: file)) { url, _ in url.deletingLastPathComponent() }
        return ProfileLibrary { name in
            let file = package.appendingPathComponent("profiles/\(name).toml")
            return (try? String(contentsOf: file, encoding: .utf8)).map { .init(file: file.path, text: $0) }
        }
    }

    private static func measureGroup(
        _ profile: CompiledProfile, _ group: String, _ stanzas: [Stanza], _ runs: Int, most: Double,
        allocations: Double?
    ) {
        guard stanzas.count >= 100 else { return }
        let measurement = measure(profile, stanzas, runs)
        report("profile-\(profile.name)-\(group)", 1e9 / measurement.rate, "ns/stanza", .atMost(most))
        report(
            "profile-\(profile.name)-\(group)-allocations", measurement.allocationsPerItem, "allocations/stanza",
            allocations.map { .atMost($0) })
    }

    private static func measure(_ profile: CompiledProfile, _ stanzas: [Stanza], _ runs: Int) -> Measurement {
        var dropped = 0
        let measurement = Measurement(items: stanzas.count, runs: runs) {
            for stanza in stanzas {
                if case .drop = profile.apply(stanza, direction: .out) { dropped += 1 }
            }
        }
        precondition(dropped <= stanzas.count * (runs + 2), "profile: more stanzas were dropped than there are")
        return measurement
    }

    private static func stanzas(_ count: Int) -> [Stanza] {
        var generator = TrafficGenerator(seed: 2)
        let reader = StanzaReader()
        return generator.next(count).compactMap { try? reader.read(ByteBuffer(string: $0.xml)) }
    }
}
