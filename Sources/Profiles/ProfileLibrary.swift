package import ConfigurationText

/// Finds profiles by name, reads them, and puts each together with what it inherits.
///
/// Does no I/O: a closure gives the text for a name.
package struct ProfileLibrary {
    /// The text of one profile.
    package struct Source: Sendable {
        /// As it shall stand in messages.
        package var file: String
        package var text: String

        package init(file: String, text: String) {
            self.file = file
            self.text = text
        }
    }

    /// A chain of parents longer than this is a mistake; nobody could say what such a profile does.
    private static let longestChain = 16

    private let source: (String) throws(ConfigurationProblems) -> Source?

    /// - Parameter source: the text of a profile by its name; `nil` where there is none, an error where there is one that
    ///   cannot be read.
    package init(_ source: @escaping (String) throws(ConfigurationProblems) -> Source?) {
        self.source = source
    }

    /// Reads a profile and all that it inherits from.
    ///
    /// - Throws: every problem of every file in the chain; a missing parent and a circle are problems of the file that
    ///   names the parent. A name that is not found at all is a problem of no file.
    package func profile(named name: String) throws(ConfigurationProblems) -> Profile {
        var problems: [ConfigurationProblem] = []
        // Nearest first.
        var chain: [ProfileDocument] = []
        var next: String? = name
        while let wanted = next {
            let source: Source?
            do throws(ConfigurationProblems) {
                source = Self.isName(wanted) ? try self.source(wanted) : nil
            } catch {
                problems += error.problems
                break
            }
            guard let source else {
                problems.append(missing(wanted, from: chain.last))
                break
            }
            let document = ProfileDocument(source, expectedName: wanted)
            problems += document.problems
            chain.append(document)
            next = nil
            guard let parent = document.parent else { continue }
            if let first = chain.firstIndex(where: { $0.profile.name == parent.value }) {
                let circle = (chain[first...].map(\.profile.name) + [parent.value]).joined(separator: " → ")
                problems.append(problem(parent, "a profile cannot inherit from itself: \(circle)", "another profile"))
            } else if chain.count == Self.longestChain {
                problems.append(problem(parent, "more than \(Self.longestChain) profiles inherit from each other", nil))
            } else {
                next = parent.value
            }
        }
        guard problems.isEmpty, var profile = chain.last?.profile else { throw ConfigurationProblems(problems) }
        for document in chain.dropLast().reversed() { profile.replace(by: document.profile) }
        problems = HardRules.problems(of: profile)
        guard problems.isEmpty else { throw ConfigurationProblems(problems) }
        return profile
    }

    /// What a name may be, in the words of messages.
    package static let nameForm = "1 to 64 letters, digits, - and _"

    /// 1 to 64 letters, digits, `-` and `_`: a name becomes part of a path.
    package static func isName(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F: true
                default: false
                }
            }
    }

    private func missing(_ name: String, from document: ProfileDocument?) -> ConfigurationProblem {
        if let parent = document?.parent {
            guard Self.isName(name) else {
                return problem(parent, "not a name for a profile", Self.nameForm)
            }
            return problem(parent, "there is no profile of this name", "a profile beside this one, or a shipped one")
        }
        return ConfigurationProblem(
            file: "profiles", line: 1, key: "", value: nil, message: "there is no profile \"\(name)\"", allowed: nil)
    }

    private func problem(_ parent: Sourced<String>, _ message: String, _ allowed: String?) -> ConfigurationProblem {
        ConfigurationProblem(
            file: parent.origin.file, line: parent.origin.line, key: parent.origin.key,
            value: TOMLNode.string(parent.value).shown, message: message, allowed: allowed)
    }
}
