import ArgumentParser
import Blocks
import Bridge
import NIOCore
import TrafficRecording

struct DictionaryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dictionary", abstract: "Makes dictionaries for the first contact of two bridges.",
        subcommands: [Train.self])

    struct Train: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a dictionary from recorded stanzas.",
            discussion: """
                Recordings are files of XML with stanzas in them, bare or inside other elements, as `skywave record` \
                makes them. The dictionary holds markup that at least two senders use, and nothing else: no text that \
                people wrote, no addresses, no ids or hashes, and nothing of stanzas with a security label. It is \
                named by its content: the same recordings give the same file. Both ends need it ([peer.block] \
                dictionary); it serves until the link has a history of its own.
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
                do throws(Files.Failure) {
                    try add(try Files.read(file, limit: Self.maximumBytes), from: file, to: &trainer)
                } catch {
                    Terminal.error("\(file): \(error)")
                    throw ExitCode.failure
                }
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

        private func add(
            _ recording: [UInt8], from file: String, to trainer: inout DictionaryTrainer
        ) throws(Files.Failure) {
            var reader = LooseStanzas()
            var bytes = ByteBuffer(bytes: recording)
            var count = 0
            do throws(TrafficError) {
                while var part = bytes.readSlice(length: min(bytes.readableBytes, 65_536)), part.readableBytes > 0 {
                    reader.read(&part)
                    while let stanza = try reader.next() {
                        trainer.add(stanza)
                        count += 1
                    }
                }
            } catch {
                throw Files.Failure(error.description)
            }
            Terminal.output("\(file): \(count) stanzas, \(reader.unreadable) unreadable")
        }
    }
}
