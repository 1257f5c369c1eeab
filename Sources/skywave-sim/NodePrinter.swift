import HFNode
import LinkCatalogue
import NIOCore
import RadioSimulator

/// Says in a line what happens at two nodes.
struct NodePrinter: Sendable {
    func line(_ event: RadioNodesEvent, _ time: TimeAmount) -> String? {
        text(event).map { "\(Self.clock(time))  \($0)" }
    }

    private func text(_ event: RadioNodesEvent) -> String? {
        switch event {
        case .transmitted(let side, let burst):
            """
            \(name(side)) transmits \(burst.elements.count) D_PDUs, \(burst.byteCount) bytes, \
            \(burst.timing.bitsPerSecond) bit/s, \(Self.seconds(burst.duration))
            """
        case .received: nil
        case .noted(let side, let note): text(note).map { "\(name(side)) \($0)" }
        case .rateChanged(let side, let mode): "\(name(side)) goes on at \(mode)"
        case .bound(let client, let sap): "\(name(client.side)) binds a client to SAP \(sap)"
        case .bindRejected(let client, let sap, let reason): "\(name(client.side)) rejects a bind to SAP \(sap): \(reason)"
        case .unbound(let client, let sap): "\(name(client.side)) has no client at SAP \(sap) any more"
        case .flowChanged(let side, let sap, let isOpen):
            "\(name(side)) \(isOpen ? "has room again for" : "has a full queue of") SAP \(sap)"
        case .silenceChanged(let side, let isSilent):
            "\(name(side)) \(isSilent ? "is silent: emission control" : "may transmit again")"
        case .linkCutChanged(let isCut): isCut ? "the link is cut" : "the link is whole again"
        case .stopped(let side): "\(name(side)) stops"
        case .started(let side): "\(name(side)) starts"
        }
    }

    private func text(_ note: HFNodeNote) -> String? {
        switch note {
        case .linkMade(let peer, let asCaller): asCaller ? "has a link to \(peer)" : "was called by \(peer)"
        case .linkBroken(let peer, let end): "has no link to \(peer) any more: \(text(end))"
        case .callFailed(let peer, let end): "cannot call \(peer): \(text(end))"
        case .burstAssessed(_, let frames, let acknowledged):
            acknowledged < frames ? "\(frames - acknowledged) of \(frames) frames were lost" : nil
        case .burstUnanswered: "got no answer"
        case .orderwireReceived: nil
        case .windowsReset(let peer): "begins its windows to \(peer) anew"
        }
    }

    private func text(_ end: PhysicalLinkMachine.End) -> String {
        switch end {
        case .notResponding: "nobody answers"
        case .rejected(let reason): "rejected (\(reason))"
        case .brokenByPeer(let reason): "the other side broke it (\(reason))"
        case .idle: "there was nothing to send"
        case .noFirstData: "no data came"
        case .unknownToPeer: "the other side knows of none"
        }
    }

    private func name(_ side: HFNodeSide) -> String { "node \(side.rawValue + 1)" }

    func summary(_ statistics: RadioNodesStatistics, _ time: TimeAmount, _ link: RadioLink) -> String {
        let rate = link.modem.waveform.bitsPerSecond
        let utilisation = Self.percent(statistics.utilisation(bitsPerSecond: rate))
        let sides = HFNodeSide.allCases.map { side in
            let sent = statistics[side]
            let arrived = statistics[side.other]
            return """
                node \(side.rawValue + 1): \(sent.bursts) bursts, \(Self.seconds(sent.onAir)) on the air, \
                \(sent.unitsTaken) units taken, \(arrived.unitsDelivered) delivered (\(arrived.bytesDelivered) bytes), \
                \(sent.unitsRejected) rejected
                """
        }
        return """
            \(sides.joined(separator: "\n"))
            link: \(Self.clock(time)), \(statistics.turns) turns, on the air \(Self.percent(statistics.onAirShare)) of the time \
            in use, utilisation \(utilisation) of \(rate) bit/s
            """
    }

    // MARK: Numbers

    static func seconds(_ time: TimeAmount) -> String {
        let tenths = (time.nanoseconds + 50_000_000) / 100_000_000
        return "\(tenths / 10).\(tenths % 10) s"
    }

    static func percent(_ share: Double) -> String {
        let tenths = Int((share * 1_000).rounded())
        return "\(tenths / 10).\(tenths % 10) %"
    }

    /// `h:mm:ss.t`
    static func clock(_ time: TimeAmount) -> String {
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let tenths = time.nanoseconds / 100_000_000
        let seconds = tenths / 10
        return "\(seconds / 3_600):\(two(seconds / 60 % 60)):\(two(seconds % 60)).\(tenths % 10)"
    }
}
