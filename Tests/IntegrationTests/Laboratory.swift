import Foundation
import Synchronization
import TestSupport
import Testing

/// One way of joining two real servers, as `Tests/Lab/lab/variants.py` knows it by name.
struct Variant: Sendable, CustomTestStringConvertible {
    let name: String
    var testDescription: String { name }

    private init(_ name: String) {
        self.name = name
    }

    /// The servers alone, without a bridge: shows that a failure elsewhere is not the laboratory's.
    static let control = Variant("prosody-prosody-dialback-direct")

    /// The same servers with `skywave record` between them.
    static let recorded = Variant("prosody-prosody-dialback-recorded")

    /// Two bridges that keep to the profile `hf`: other things hold between their sites.
    static let narrow = Variant("prosody-prosody-dialback-skywave-hf")

    /// Two bridges whose link is a radio on a cable: STANAG 5066 nodes that run faster than real time.
    static let onCable = ["prosody-prosody-dialback-skywave", "ejabberd-prosody-dialback"].map {
        Variant("\($0)-hf-over-hf-lab-1200S")
    }

    /// A disturbed sky wave: frames are lost, turns are long, the rate follows.
    static let overSkyWave = ["-skywave", ""].map {
        Variant("prosody-prosody-dialback\($0)-hf-over-hf-skywave-poor-1200L")
    }

    static let overRadio = onCable + overSkyWave

    /// With Prosody at both ends in dialect `xep` on the cable as well, for what people do with each other.
    static let peopleOverRadio = overRadio + [Variant("prosody-prosody-dialback-hf-over-hf-lab-1200S")]

    /// Each radio link once.
    static let captured = [onCable[0], overSkyWave[1]]

    /// Every pair of servers with every way of proving who a server is, in dialect `xep`.
    private static let overStanzas = ["prosody-prosody", "ejabberd-prosody"].flatMap { servers in
        ["dialback", "starttls", "external", "component"].map { Variant("\(servers)-\($0)") }
    }

    /// The same ways, each once or more, in dialect `skywave`.
    private static let overBlocks = [
        "prosody-prosody-dialback", "prosody-prosody-external", "ejabberd-prosody-starttls",
        "ejabberd-prosody-component", "ejabberd-prosody-dialback",
    ].map { Variant("\($0)-skywave") }

    static let bridged = overStanzas + overBlocks

    static let all = [control] + bridged
}

/// The harness process of one variant: two servers, two bridges and the clients that check them.
///
/// It starts with the first check that asks for it, does one check at a time, and ends by itself when this process
/// closes the pipe or dies.
actor Laboratory {
    /// What a check came to. `detail` is a remark, or the whole failure with the ends of all logs.
    struct Outcome: Decodable {
        var check: String?
        var passed: Bool?
        var ready: Bool?
        var detail: String?
    }

    /// The harness did not start, or ended in the middle.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private let variant: Variant
    private var process: Process?
    private var startFailure: Failure?
    private var input: FileHandle?
    private var answers: AsyncStream<String>.Iterator?
    private var previous: Task<Outcome, any Error>?

    init(variant: Variant) {
        self.variant = variant
    }

    /// The laboratory of a variant; all tests of a run share it.
    static func of(_ variant: Variant) -> Laboratory {
        shared.withLock { laboratories in
            if let laboratory = laboratories[variant.name] { return laboratory }
            let laboratory = Laboratory(variant: variant)
            laboratories[variant.name] = laboratory
            return laboratory
        }
    }

    private static let shared = Mutex<[String: Laboratory]>([:])

    /// Runs a check after those that were asked for earlier.
    func run(_ check: String) async throws -> Outcome {
        let earlier = previous
        let task = Task {
            _ = await earlier?.result
            return try await self.answer(to: check)
        }
        previous = task
        return try await task.value
    }

    private func answer(to check: String) async throws -> Outcome {
        await Self.gate.enter()
        defer { Self.gate.leave() }
        if let startFailure { throw startFailure }
        if process == nil {
            try await start()
        }
        try input?.write(contentsOf: Data("\(check)\n".utf8))
        return try await nextAnswer()
    }

    private func start() async throws {
        // A harness that died must show as a failed write, not end the test process.
        signal(SIGPIPE, SIG_IGN)
        let process = ChildProcess.make(
            Self.python.path,
            [
                Self.root.appending(path: "Tests/Lab/scenario.py").path, "--serve", "--variant", variant.name,
                "--bridge", Self.bridge.path,
            ])
        let input = Pipe()
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        self.process = process
        self.input = input.fileHandleForWriting
        answers = Self.lines(of: output.fileHandleForReading).makeAsyncIterator()
        let outcome = try await nextAnswer()
        guard outcome.ready == true else {
            startFailure = Failure(description: "\(variant.name) did not start; the first of its tests says why")
            throw Failure(description: "\(variant.name) did not start: \(outcome.detail ?? "no reason given")")
        }
    }

    private func nextAnswer() async throws -> Outcome {
        var answers = answers
        let line = await answers?.next(isolation: self)
        self.answers = answers
        guard let line else {
            throw Failure(description: "the harness of \(variant.name) ended in the middle")
        }
        return try JSONDecoder().decode(Outcome.self, from: Data(line.utf8))
    }

    /// The lines of a pipe as they come, until its end.
    private static func lines(of handle: FileHandle) -> AsyncStream<String> {
        let (stream, continuation) = AsyncStream<String>.makeStream()
        let unfinished = Mutex(Data())
        handle.readabilityHandler = { handle in
            let data = handle.availableData
            guard !data.isEmpty else {
                handle.readabilityHandler = nil
                continuation.finish()
                return
            }
            unfinished.withLock { buffer in
                buffer.append(data)
                while let newline = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                    continuation.yield(String(decoding: buffer[..<newline], as: UTF8.self))
                    buffer = Data(buffer[buffer.index(after: newline)...])
                }
            }
        }
        return stream
    }
}

extension Laboratory {
    /// At most this many laboratories work at once: each has four daemons, and the clients measure time.
    private static let gate = Gate(width: 3)

    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static let python = root.appending(path: ".lab/venv/bin/python")

    /// The bridge of the same build as this test: it lies beside, or above, the executable that runs now.
    private static let bridge: URL = {
        let executable = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        var folder = URL(filePath: executable ?? CommandLine.arguments[0]).deletingLastPathComponent()
        while folder.path != "/" {
            let candidate = folder.appending(path: "skywave")
            if FileManager.default.isExecutableFile(atPath: candidate.path), !candidate.hasDirectoryPath {
                return candidate
            }
            folder.deleteLastPathComponent()
        }
        return root.appending(path: ".build/debug/skywave")
    }()

    /// Whether `make setup` was here; without it the integration tests are skipped.
    static let isInstalled = FileManager.default.isExecutableFile(atPath: python.path)

    /// Whether Wireshark's reader of captures is here, which `make setup` does not install.
    static let hasTShark = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
        FileManager.default.isExecutableFile(atPath: "\($0)/tshark")
    }
}

/// Lets a limited number of tasks through at a time, in the order in which they came.
private final class Gate: Sendable {
    private struct State {
        var free: Int
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Mutex<State>

    init(width: Int) {
        state = Mutex(State(free: width))
    }

    func enter() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                guard state.free > 0 else {
                    state.waiting.append(continuation)
                    return false
                }
                state.free -= 1
                return true
            }
            if isFree { continuation.resume() }
        }
    }

    func leave() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
            state.free += 1
            return nil
        }
        next?.resume()
    }
}
