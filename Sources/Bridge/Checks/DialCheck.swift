import BridgeCore
import Logging
package import NIOCore
import ServerStreams
import XMPP

/// Proves the ways between the bridge and the server of its site, in service conditions: the same listener, dialler,
/// stream machines, certificates and queues as in the daemon (docs/lessons.md, d23). Only the peers are missing.
///
/// From every remote domain each local domain is asked something that every server answers. The question proves the way
/// there; its answer has to come by a stream that the *server* opens to the bridge under the remote domain's name, and
/// so proves the way back.
package struct DialCheck: Sendable {
    private let configuration: SiteConfiguration
    private let eventLoop: any EventLoop
    private let patience: TimeAmount
    private let ask: NameCheck.Ask

    /// - Parameter patience: how long answers are waited for, all together.
    package init(
        _ configuration: SiteConfiguration, on eventLoop: any EventLoop, patience: TimeAmount = .seconds(20),
        ask: @escaping NameCheck.Ask
    ) {
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.patience = patience
        self.ask = ask
    }

    /// The questions and what became of them, with all that was noted meanwhile.
    private struct Observation: Sendable {
        var questions: [DialProbe.Question]
        var services: [Domain]
        var notes: [LocalNote]
        var local: LocalSideStatus
        var accepted: UInt64
    }

    /// Runs the whole check; the findings come in the order in which an operator would fix things.
    package func run() async -> [CheckFinding] {
        let names = await checkNames()
        let site: RunningSite
        do {
            site = try await RunningSite.start(
                configuration, withLinks: false, on: eventLoop,
                logger: Logger(label: "check") { _ in SwiftLogNoOpLogHandler() })
        } catch let error as BridgeError {
            var finding = CheckFinding(.missing, error.description)
            if error.code == .listen {
                finding.remedy = ["if that is the bridge itself, stop it for this check, or ask it: skywave status"]
            }
            return names + [finding]
        } catch {
            return names + [CheckFinding(.missing, "the bridge cannot start: \(error)")]
        }
        let observation: Observation
        do {
            observation = try await observe(site)
        } catch {
            await site.stop(within: .seconds(2))
            return names + [CheckFinding(.missing, "the check itself failed: \(error)")]
        }
        await site.stop(within: .seconds(2))
        let ways = remoteDomains.flatMap { remote in findings(for: remote, observation) }
        let allWays = ways.allSatisfy { $0.verdict == .good }
        // Where the server finds the bridge all the same, it has other means than the DNS that was asked.
        let judged = names.map { finding in
            allWays && finding.verdict == .missing
                ? CheckFinding(.note, finding.text + "; the server finds the bridge all the same") : finding
        }
        return DialCheck.withoutRepetition(judged + ways + unlistedServices(observation))
    }

    /// Many pairs of domains fail for one reason; what to do about it is said once.
    private static func withoutRepetition(_ findings: [CheckFinding]) -> [CheckFinding] {
        var seen: Set<[String]> = []
        return findings.map { finding in
            guard !finding.remedy.isEmpty, !seen.insert(finding.remedy).inserted else { return finding }
            return CheckFinding(finding.verdict, finding.text, ["as above"])
        }
    }

    /// The names that are tried; for a wildcard one that it covers.
    private var remoteDomains: [Domain] {
        configuration.remoteDomains.compactMap { pattern in
            pattern.isWildcard ? Domain("skywave-check.\(pattern.domain)") : pattern.domain
        }
    }

    private func checkNames() async -> [CheckFinding] {
        guard configuration.attachment == .server else { return [] }
        let check = NameCheck(listen: configuration.listen, ask: ask)
        var findings: [CheckFinding] = []
        for domain in remoteDomains { findings += await check.check(domain) }
        return findings
    }

    private func observe(_ site: RunningSite) async throws -> Observation {
        let (remotes, locals) = (remoteDomains, configuration.domains)
        let loop = eventLoop
        let probe = try await site.with { runtime in
            let probe = DialProbe()
            runtime.probe = probe
            let now = NIODeadline.now()
            for remote in remotes {
                for local in locals {
                    runtime.site.deliver(probe.ask(.way, from: remote, to: local, now: now), now: now)
                    if remote == remotes.first {
                        runtime.site.deliver(probe.ask(.services, from: remote, to: local, now: now), now: now)
                    }
                }
            }
            runtime.endTurn()
            return NIOLoopBound(probe, eventLoop: loop)
        }
        let deadline = NIODeadline.now() + patience
        while try await site.with({ _ in !probe.value.isDone }), NIODeadline.now() < deadline {
            try await Task.sleep(for: .milliseconds(50))
        }
        return try await site.with { runtime in
            Observation(
                questions: Array(probe.value.questions.values), services: probe.value.services,
                notes: probe.value.notes, local: runtime.site.localSnapshot, accepted: runtime.counters.acceptedConnections)
        }
    }

    // MARK: Judgement

    private func findings(for remote: Domain, _ observation: Observation) -> [CheckFinding] {
        configuration.domains.map { local in
            let question = observation.questions.first {
                $0.remote == remote && $0.local == local && $0.purpose == .way
            }
            if case .answered(let time) = question?.outcome {
                return CheckFinding(
                    .good,
                    """
                    \(remote) and \(local): the server answered in \(max(1, time.nanoseconds / 1_000_000)) ms, \
                    \(encryption(remote, local, observation)), there and back
                    """)
            }
            let stream = observation.local.streams.first { stream in
                stream.direction != .inbound && stream.pairs.contains { $0.remote == remote && $0.local == local }
            }
            return stream == nil
                ? missingWayThere(remote, local, observation) : missingWayBack(remote, local, observation)
        }
    }

    private func encryption(_ remote: Domain, _ local: Domain, _ observation: Observation) -> String {
        let streams = observation.local.streams.filter { stream in
            stream.pairs.contains { $0.remote == remote && $0.local == local }
        }
        return !streams.isEmpty && streams.allSatisfy(\.isEncrypted) ? "encrypted" : "in the clear"
    }

    private func missingWayThere(_ remote: Domain, _ local: Domain, _ observation: Observation) -> CheckFinding {
        let queue = observation.local.queues.first { $0.remote == remote && ($0.local == local || $0.local == nil) }
        let reason =
            queue?.lastError ?? observation.notes.last { $0.severity >= .warning }?.text
            ?? "the stream was not negotiated in time"
        return CheckFinding(
            .missing, "\(remote) cannot speak to \(local) at \(configuration.server): \(reason)",
            adviceThere(observation))
    }

    private func adviceThere(_ observation: Observation) -> [String] {
        var advice: [String] = []
        if observation.notes.contains(where: { $0.kind == .dialFailed }) {
            return ["is the server up, and is its s2s port the one in [site] server?"]
        }
        if case .components = configuration.attachment {
            return ["the server must name each remote domain as a component with the secret of [site.components]"]
        }
        if refusedServer(observation) { return serverTrustLines }
        if configuration.tls.mode == .off {
            advice.append(
                "the server must allow s2s without TLS, or set [site.tls] mode = \"required\" and certificates")
        } else {
            advice += ["the server must trust the bridge's authority:"] + trustLines
        }
        if configuration.tls.authentication != .certificate, observation.accepted == 0 {
            advice.append("by dialback the server asks back under the remote domain's name, and it did not come:")
            advice += nameLines
        }
        return advice
    }

    private func missingWayBack(_ remote: Domain, _ local: Domain, _ observation: Observation) -> CheckFinding {
        let there = "\(local) took what \(remote) asked, but its answer did not come back"
        if case .components = configuration.attachment {
            return CheckFinding(
                .missing, there, ["does the server route \(remote) to the component, and may it send to it?"])
        }
        guard observation.accepted > 0 else {
            return CheckFinding(
                .missing, "\(there): the server never came to \(listening) under the name \(remote)",
                ["it has to find the bridge under that name, and the port must be reachable from it:"] + nameLines)
        }
        let reason = observation.notes.last { $0.severity >= .warning }?.text
        if refusedServer(observation) {
            return CheckFinding(
                .missing,
                "\(there): the server came to the bridge and was not believed" + (reason.map { " (\($0))" } ?? ""),
                serverTrustLines)
        }
        return CheckFinding(
            .missing, "\(there): the server came to the bridge and proved nothing" + (reason.map { " (\($0))" } ?? ""),
            configuration.tls.mode == .off
                ? ["the server must offer dialback, without TLS; or use [site.tls] mode = \"required\""]
                : ["it must trust the bridge's authority, and the bridge the server's ([site.tls] ca):"] + trustLines)
    }

    /// Whether it is the bridge that did not believe the server, rather than the other way round.
    private func refusedServer(_ observation: Observation) -> Bool {
        observation.notes.contains { note in
            note.kind == .certificateRefused && note.severity >= .warning
                && !note.text.contains("refused the bridge's certificate")
        }
    }

    private var serverTrustLines: [String] {
        let now =
            switch configuration.tls.authorities {
            case .file(let path): "it is now \"\(path)\""
            case .system, nil: "it is now the machine's own list"
            }
        return [
            "the bridge must trust who signed the server's certificate, and the certificate must name the site's domains:",
            "[site.tls] ca = \"FILE\", or \"system\" (\(now))",
        ]
    }

    private var listening: String {
        configuration.listen.map(\.description).joined(separator: ", ")
    }

    private var lines: TrustLines {
        TrustLines(
            authorityFile: (configuration.tls.certificates ?? "/etc/skywave/pki") + "/ca.crt",
            domains: configuration.remoteDomains, listen: configuration.listen.first)
    }

    private var trustLines: [String] {
        (lines.prosody + "\n" + lines.ejabberd + "\n" + lines.openfire).split(separator: "\n").map(String.init)
    }

    private var nameLines: [String] {
        lines.names.split(separator: "\n").map(String.init)
    }

    /// Services below the site's domains that remote users would see and could not reach.
    private func unlistedServices(_ observation: Observation) -> [CheckFinding] {
        observation.services.filter { !configuration.domains.contains($0) }.sorted().map { service in
            let isBelow = configuration.domains.contains { service.string.hasSuffix("." + $0.string) }
            let listed = (configuration.domains + [service]).map { "\"\($0)\"" }.joined(separator: ", ")
            return isBelow
                ? CheckFinding(
                    .missing, "the server offers \(service), which is not in [site] domains: nobody can reach it",
                    ["domains = [\(listed)], and the other site has to add it to its [[peer]] domains"])
                : CheckFinding(.note, "the server offers \(service), which is not a domain of this site")
        }
    }
}
