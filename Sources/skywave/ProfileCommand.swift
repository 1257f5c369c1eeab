import ArgumentParser
import Bridge
import ConfigurationText
import NIOCore
import Profiles
import XMPP

struct ProfileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "profile", abstract: "Shows, explains, measures and makes filter profiles.",
        discussion: """
            A profile is a file NAME.toml. Looked through in order: --profiles, /etc/skywave/profiles, \
            /usr/local/share/skywave/profiles, /usr/share/skywave/profiles, and the source tree of a build. \
            The language is described in docs/profiles.md.
            """,
        subcommands: [List.self, Show.self, Explain.self, Measure.self, Diff.self, New.self])

    /// Where profiles are found.
    struct Place: ParsableArguments {
        @Option(help: ArgumentHelp("A directory with profiles of your own, looked through first.", valueName: "dir"))
        var profiles: String?

        var files: ProfileFiles { ProfileFiles(own: profiles.map { [$0] } ?? []) }

        /// Reads a profile or ends the program with every problem on standard error.
        func load(_ name: String) throws -> Profile {
            do throws(ConfigurationProblems) {
                if try files.source(named: name) != nil { return try files.profile(named: name) }
            } catch {
                Terminal.error(error.description)
                throw ExitCode.configurationProblems
            }
            Terminal.error("there is no profile \"\(name)\"; there are: \(files.names.joined(separator: ", "))")
            throw ExitCode.failure
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Names all profiles, with a line on each.")

        @OptionGroup var place: Place

        func run() throws {
            let files = place.files
            let width = files.names.map(\.count).max() ?? 0
            guard width > 0 else {
                Terminal.error("no profiles in \(files.directories.joined(separator: ", "))")
                throw ExitCode.failure
            }
            for name in files.names {
                let padded = name + String(repeating: " ", count: width - name.count)
                do throws(ConfigurationProblems) {
                    let profile = try files.profile(named: name)
                    let parents = profile.ancestors.isEmpty ? "" : " (from \(profile.ancestors.joined(separator: ", ")))"
                    Terminal.output("\(padded)  \(profile.summary)\(parents)")
                } catch {
                    let count = error.problems.count
                    Terminal.output("\(padded)  \(count) problem\(count == 1 ? "" : "s"): skywave profile show \(name)")
                }
            }
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints a profile and all that it inherits, the farthest first.")

        @Argument(help: "The name of the profile.")
        var name: String
        @OptionGroup var place: Place

        func run() throws {
            let profile = try place.load(name)
            for name in profile.ancestors.reversed() + [profile.name] {
                guard let source = try place.files.source(named: name) else { continue }
                Terminal.output("### \(source.file)\n")
                Terminal.output(source.text)
            }
        }
    }

    struct Explain: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Says what a profile makes of one stanza, and which rule decided about each element.",
            discussion: "Reads the stanza from a file or, with -, from standard input.")

        @Argument(help: "The name of the profile.")
        var name: String
        @Argument(help: "The file with the stanza, or -.")
        var file = "-"
        @Flag(help: "The stanza comes from the link instead of going there.")
        var incoming = false
        @Flag(help: "The sender is a room.")
        var room = false
        @OptionGroup var place: Place

        /// A stanza over this size crosses no link.
        private static let maximumBytes = 1 << 20

        func run() throws {
            let profile = CompiledProfile(try place.load(name))
            let bytes: [UInt8]
            do throws(Files.Failure) {
                bytes =
                    try file == "-"
                    ? Files.readStandardInput(limit: Self.maximumBytes) : Files.read(file, limit: Self.maximumBytes)
            } catch {
                Terminal.error("\(file): \(error)")
                throw ExitCode.failure
            }
            let stanza: Stanza
            do throws(StreamError) {
                stanza = try StanzaReader().read(ByteBuffer(bytes: bytes.trimmedOfSpace))
            } catch {
                Terminal.error("this is not one stanza as servers send it: \(error.condition.rawValue)\(error.text.map { ", \($0)" } ?? "")")
                throw ExitCode.failure
            }
            guard stanza.kind != .other else {
                Terminal.error("this is no message, presence or iq in the namespace jabber:server")
                throw ExitCode.failure
            }
            let explanation = profile.explain(
                stanza, direction: incoming ? .in : .out, sender: room ? .room : .unknown)
            Terminal.output(explanation.text.trimmed)
        }
    }

    struct New: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Begins a profile of your own: a file that inherits from another and says how to go on.")

        @Argument(help: "The name of the new profile: letters, digits, - and _.")
        var name: String
        @Option(help: "The profile that it inherits from.")
        var inherits = "hf"
        @Option(name: .shortAndLong, help: ArgumentHelp("The directory for the file.", valueName: "dir"))
        var out = "/etc/skywave/profiles"
        @OptionGroup var place: Place

        func validate() throws {
            guard ProfileLibrary.isName(name) else { throw ValidationError("a name has \(ProfileLibrary.nameForm)") }
        }

        func run() throws {
            let parent = try place.load(inherits)
            guard !([parent.name] + parent.ancestors).contains(name) else {
                Terminal.error("\(inherits) is or inherits from \"\(name)\", so \"\(name)\" cannot inherit from it; take another name")
                throw ExitCode.failure
            }
            // What is made elsewhere is not found without being told.
            let option = place.files.directories.contains(out) && place.profiles == nil ? "" : " --profiles \(out)"
            let text = """
                # \(name) – for which link, and what users will notice.
                #
                # Inherits from \(([parent.name] + parent.ancestors).joined(separator: ", ")): what is not said here is as it is \
                there (skywave profile show \(inherits)).
                # A key replaces the inherited one as a whole. Short names: docs/profiles.md.
                # Try it:  skywave profile explain \(name) stanza.xml\(option)
                #          skywave profile diff \(inherits) \(name) recording.xml\(option)

                name = "\(name)"
                description = ""
                inherits = "\(inherits)"

                [message]
                # max-body-bytes = 2000

                [presence]
                # min-interval = "60s"

                [iq]
                # allow = ["disco-info", "disco-items", "muc-admin", "muc-owner", "vcard"]

                """
            let path = "\(out)/\(name).toml"
            let isNew: Bool
            do throws(Files.Failure) {
                try Files.makeDirectory(out, isPrivate: false)
                isNew = try Files.create(path, Array(text.utf8), isPrivate: false)
            } catch {
                Terminal.error("\(out): \(error)")
                throw ExitCode.failure
            }
            guard isNew else {
                Terminal.error("\(path) is there already; nothing was changed")
                throw ExitCode.failure
            }
            Terminal.output(path)
        }
    }
}

extension [UInt8] {
    /// Without white space at both ends.
    fileprivate var trimmedOfSpace: [UInt8] {
        let isSpace: (UInt8) -> Bool = { $0 == 0x20 || (0x09...0x0D).contains($0) }
        guard let first = firstIndex(where: { !isSpace($0) }), let last = lastIndex(where: { !isSpace($0) }) else { return [] }
        return Array(self[first...last])
    }
}
