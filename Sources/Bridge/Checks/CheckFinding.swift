/// One sentence of a check, with what to do about it.
package struct CheckFinding: Equatable, Sendable, CustomStringConvertible {
    package enum Verdict: String, Sendable {
        /// Proved.
        case good = "ok"
        /// True, and worth knowing; no fault.
        case note
        /// Something is missing.
        case missing
    }

    package var verdict: Verdict
    package var text: String
    /// Lines to add, or the next step; without them the sentence says it all.
    package var remedy: [String]

    package init(_ verdict: Verdict, _ text: String, _ remedy: [String] = []) {
        self.verdict = verdict
        self.text = text
        self.remedy = remedy
    }

    package var description: String {
        ([verdict.rawValue + ": " + text] + remedy.map { "    " + $0 }).joined(separator: "\n")
    }
}
