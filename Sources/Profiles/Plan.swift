import NIOCore

/// What a profile does to one payload, one bit each, so that a stanza's payloads are judged by `and` and `or`.
struct PayloadFlags: OptionSet, Sendable {
    let rawValue: UInt16

    /// The profile takes it out.
    static let strip = PayloadFlags(rawValue: 1)
    /// The profile refuses what holds it.
    static let refuse = PayloadFlags(rawValue: 2)
    /// `drop-when-only` names it.
    static let drop = PayloadFlags(rawValue: 4)
    /// It makes no message worth sending: named by `drop-when-only`, or silent.
    static let quiet = PayloadFlags(rawValue: 8)
    static let companion = PayloadFlags(rawValue: 16)
    static let metadata = PayloadFlags(rawValue: 32)
    static let meaning = PayloadFlags(rawValue: 64)
    /// A message that holds nothing else says nothing, whether it may go (a companion) or not (a label, a stamp).
    static let silent = PayloadFlags(rawValue: 32_768)
    /// In no vocabulary.
    static let foreign = PayloadFlags(rawValue: 128)
    /// Says that the text stands for something else (XEP-0380, XEP-0428).
    static let marksFallback = PayloadFlags(rawValue: 256)
    /// Text with a limit.
    static let text = PayloadFlags(rawValue: 512)
    /// Goes with text that is cut, since it counts its characters or says it again.
    static let describesText = PayloadFlags(rawValue: 1024)
    /// Makes presence a room's.
    static let room = PayloadFlags(rawValue: 2048)
    static let federatedRoom = PayloadFlags(rawValue: 4096)
    /// The bridge may answer it.
    static let answer = PayloadFlags(rawValue: 8192)
}

/// A value and where it was said; `nil` for what the bridge does by itself.
struct Limit: Sendable {
    var bytes: Int
    var origin: RuleOrigin?

    static let none = Limit(bytes: Int.max, origin: nil)
}

/// A profile as it applies to stanzas of one shape and direction: a table by number of payload.
///
/// A class so that choosing one costs a reference; never changed after it was made.
final class Plan: Sendable {
    /// By number of payload.
    let flags: [PayloadFlags]
    /// Where it was said that a payload goes, or stays; by number, `nil` where nobody said anything.
    let foldOrigins: [RuleOrigin?]
    let dropOrigins: [RuleOrigin?]
    /// Refused or, for IQs, allowed.
    let refuseOrigins: [RuleOrigin?]
    let answerOrigins: [RuleOrigin?]
    /// Of `body` or, in presence, `status`.
    let textLimit: Limit
    let stanzaLimit: Limit
    let mode: PresenceMode
    let modeOrigin: RuleOrigin?
    let roomHistory: RoomHistoryLimit?
    let roomHistoryOrigin: RuleOrigin?
    let minimumInterval: TimeAmount
    let vCardLifetime: TimeAmount
    /// Nothing that the stanza could hold changes it.
    let passesAll: Bool
    /// Elements below the children are to be looked at.
    let stripsNested: Bool

    init(_ draft: PlanDraft) {
        let flags = draft.flags
        self.flags = flags
        foldOrigins = draft.strip.map(\.origin)
        dropOrigins = draft.drop.map(\.origin)
        refuseOrigins = draft.refuse.map(\.origin)
        answerOrigins = draft.answer.map(\.origin)
        textLimit = draft.textLimit
        stanzaLimit = draft.stanzaLimit
        mode = draft.mode
        modeOrigin = draft.modeOrigin
        roomHistory = draft.roomHistory
        roomHistoryOrigin = draft.roomHistoryOrigin
        minimumInterval = draft.minimumInterval
        vCardLifetime = draft.vCardLifetime
        let acts: PayloadFlags = [.strip, .refuse, .drop, .answer]
        passesAll =
            flags.allSatisfy { $0.isDisjoint(with: acts) } && textLimit.bytes == Int.max
            && stanzaLimit.bytes == Int.max && mode != .none && roomHistory == nil
        stripsNested = PlanDraft.nestedCodes.contains { flags[$0].contains(.strip) }
    }
}

/// The plans for one shape and direction: one where no rule asks for domains, else one for each set of such rules that
/// may hold at once.
struct PlanSet: Sendable {
    /// The domains of each rule that asks for some.
    let conditions: [RuleCondition]
    /// By the sum of 1 << place of each condition that holds.
    let plans: [Plan]
}
