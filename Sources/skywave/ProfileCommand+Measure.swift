import ArgumentParser
import Blocks
import Bridge
import Profiles
import TrafficMeasurement
import TrafficRecording

extension ProfileCommand {
    /// How recordings are replayed.
    struct Replay: ParsableArguments {
        @Argument(help: ArgumentHelp("Recordings; each is measured with fresh bridges.", valueName: "traffic.xml"))
        var recordings: [String]
        @Option(help: "Stanzas of a block in each direction, after what the profile leaves.")
        var batch = 16
        @Option(help: "The dialect of the link, skywave or xep (XEP-0361: stanzas as they are, without compression).")
        var dialect = "skywave"
        @Option(help: "Seconds of the bridges per second of the recording; without it rules that hang on time are off.")
        var timeScale: Double?

        /// Of one recording; all of it is in memory.
        private static let maximumBytes = 256 << 20

        func validate() throws {
            guard (1...4_096).contains(batch) else { throw ValidationError("--batch takes 1 to 4096") }
            guard LinkDialect(rawValue: dialect) != nil else { throw ValidationError("--dialect takes skywave or xep") }
            if let timeScale, !(timeScale > 0 && timeScale <= 1e6) { throw ValidationError("--time-scale takes a number above 0") }
        }

        /// One measurement for each recording.
        func measure(_ profile: Profile) throws -> [(file: String, measurement: Measurement)] {
            var options = TrafficReplay.Options()
            options.batch = batch
            options.profile = CompiledProfile(profile)
            options.dialect = LinkDialect(rawValue: dialect) ?? .skywave
            options.timeScale = timeScale
            return try recordings.map { file in
                let bytes: [UInt8]
                do throws(Files.Failure) {
                    bytes = try Files.read(file, limit: Self.maximumBytes)
                } catch {
                    Terminal.error("\(file): \(error)")
                    throw ExitCode.failure
                }
                let recording: RecordedTraffic
                do throws(TrafficError) {
                    recording = try RecordedTraffic(name: file, document: bytes)
                } catch {
                    Terminal.error("\(file): \(error) (docs/recording.md describes the format)")
                    throw ExitCode.failure
                }
                if case .truncated(_, let line) = recording.ending {
                    Terminal.error("\(file): ends in the middle, at line \(line); measured is what stands before")
                }
                do throws(Measurement.Failure) {
                    return (file, try Measurement(recording, options))
                } catch {
                    Terminal.error("\(file): \(error)")
                    throw ExitCode.failure
                }
            }
        }
    }

    struct Measure: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Replays recorded traffic through two bridges with a profile and counts what crosses the link.",
            discussion: """
                Everything that the daemon does is done: profile, blocks, compression, acknowledgements. Beside it stands what \
                the same traffic costs as servers send it with stream compression (XEP-0138: one zlib stream in each \
                direction, level 9, flushed after every stanza).
                """)

        @Argument(help: "The name of the profile.")
        var name: String
        @OptionGroup var replay: Replay
        @Flag(help: "One JSON object: the members of \"total\" sum up all recordings.")
        var json = false
        @OptionGroup var place: Place

        func run() throws {
            let measured = try replay.measure(try place.load(name))
            var total = Measurement()
            for one in measured { total += one.measurement }
            if json {
                let files = measured.map { ProfileCommand.json($0.file, $0.measurement) }.joined(separator: ",")
                return Terminal.output("{\"profile\":\"\(name)\",\"batch\":\(replay.batch),\"files\":[\(files)],\"total\":\(ProfileCommand.json(nil, total))}")
            }
            for one in measured { Terminal.output(one.measurement.text(title: "\(name), \(one.file)")) }
            if measured.count > 1 { Terminal.output(total.text(title: "\(name), all recordings")) }
        }
    }

    struct Diff: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Measures two profiles on the same recordings and shows both sums.")

        @Argument(help: "The one profile.")
        var one: String
        @Argument(help: "The other profile.")
        var other: String
        @OptionGroup var replay: Replay
        @OptionGroup var place: Place

        func run() throws {
            var bytes: [Int] = []
            for name in [one, other] {
                var total = Measurement()
                for measured in try replay.measure(try place.load(name)) { total += measured.measurement }
                Terminal.output(total.text(title: name))
                bytes.append(total.bytesLink)
            }
            guard bytes[0] > 0 else { return }
            let change = (Double(bytes[1]) / Double(bytes[0]) - 1) * 100
            Terminal.output("\(other) against \(one): \(change >= 0 ? "+" : "")\(Int(change.rounded())) % on the link")
        }
    }

    static func json(_ file: String?, _ measurement: Measurement) -> String {
        let name = file.map { ["\"file\":\(jsonString($0))"] } ?? []
        return "{" + (name + measurement.members.map { "\"\($0.key)\":\($0.value)" }).joined(separator: ",") + "}"
    }

    private static func jsonString(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
