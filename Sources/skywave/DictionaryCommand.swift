import ArgumentParser
import Blocks
import Bridge
import NIOCore

struct DictionaryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dictionary", abstract: "Makes dictionaries for the first contact of two bridges.",
        subcommands: [Train.self])

    struct Train: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a dictionary from recorded stanzas.",
            discussion: """
                Recordings are files of XML with stanzas in them, bare or inside other elements. The dictionary holds markup \
                that at least two senders use, and nothing else: no text that people wrote, no addresses, no ids or hashes, \
                and nothing of stanzas with a security label. It is named by its content: the same recordings give the same \
                file. Both ends need it ([peer.block] dictionary); it serves until the link has a history of its own.
                """)

        /// Of one recording; all of it is in memory at a time.
        private static let maximumBytes = 256 << 20

        @Argument(help: ArgumentHelp("Files with recorded stanzas.", valueName: "recordings"))
        var recordings: [String]
        @Option(name: .shortAndLong, help: ArgumentHelp("The directory for the dictionary; made when it is missing.", valueName: "dir"))
        var out: String

        func run() throws {
            var trainer = DictionaryTrainer()
            for file in recordings {
                let recorded: RecordedStanzas
                do throws(Files.Failure) {
                    recorded = RecordedStanzas(try Files.read(file, limit: Self.maximumBytes))
                } catch {
                    Terminal.error("\(file): \(error)")
                    throw ExitCode.failure
                }
                for stanza in recorded.stanzas { trainer.add(stanza) }
                Terminal.output("\(file): \(recorded.stanzas.count) stanzas, \(recorded.unreadable) unreadable")
            }
            let dictionary = trainer.dictionary()
            guard dictionary.readableBytes > 0 else {
                Terminal.error("nothing in these recordings repeats often enough for a dictionary")
                throw ExitCode.failure
            }
            do throws(Files.Failure) {
                let path = try DictionaryFile.write(dictionary, to: out)
                let left = trainer.labelled == 0 ? "" : ", \(trainer.labelled) with labels left out"
                Terminal.output("\(path): \(dictionary.readableBytes) bytes from \(trainer.stanzas) stanzas\(left)")
            } catch {
                Terminal.error("\(out): \(error)")
                throw ExitCode.failure
            }
        }
    }
}
