import NIOConcurrencyHelpers

@testable import Store

/// The files beside SQLite's own, kept in memory: identities that do not depend on the real disk, and a history from
/// which the state at any earlier moment can be had.
final class TestEnvironment: JournalEnvironment {
    struct MarkFile: Equatable {
        var identity: FileIdentity
        /// What is certainly on the disk.
        var durable: JournalMark
        /// What was written last.
        var latest: JournalMark
    }

    struct State: Equatable {
        var database = FileIdentity(inode: 1, born: 1)
        var marks: [String: MarkFile] = [:]
        var nextInode: Int64 = 2

        /// What a power cut may leave.
        func afterPowerCut(keepsLatest: Bool) -> State {
            var state = self
            state.marks = marks.mapValues { file in
                let mark = keepsLatest ? file.latest : file.durable
                return MarkFile(identity: file.identity, durable: mark, latest: mark)
            }
            return state
        }
    }

    private struct World {
        var state: State
        var history: [(operation: Int, state: State)] = []
        var wallTime: Int64 = 1_800_000_000_000
        var freeBytes: UInt64?
    }

    private let world: NIOLockedValueBox<World>
    /// Operations of the traced file system so far.
    private let clock: @Sendable () -> Int

    init(_ state: State = State(), clock: @escaping @Sendable () -> Int = { 0 }) {
        world = NIOLockedValueBox(World(state: state))
        self.clock = clock
    }

    var state: State {
        get { world.withLockedValue { $0.state } }
        set { world.withLockedValue { $0.state = newValue } }
    }

    var freeBytes: UInt64? {
        get { world.withLockedValue { $0.freeBytes } }
        set { world.withLockedValue { $0.freeBytes = newValue } }
    }

    /// The state when so many operations had been done.
    func state(before operation: Int) -> State {
        world.withLockedValue { world in
            world.history.last { $0.operation < operation }?.state ?? world.history.first?.state ?? State()
        }
    }

    private func change(_ body: (inout State) -> Void) {
        let now = clock()
        world.withLockedValue { world in
            if world.history.isEmpty { world.history.append((-1, world.state)) }
            body(&world.state)
            world.history.append((now, world.state))
        }
    }

    private static func name(_ path: String) -> String { String(path.split(separator: "/").last ?? "") }

    func wallTime() -> Int64 {
        world.withLockedValue { world in
            world.wallTime += 1
            return world.wallTime
        }
    }

    func identity(of path: String) -> FileIdentity? {
        let name = Self.name(path)
        return name == Journal.fileName ? state.database : state.marks[name]?.identity
    }

    func freeBytes(in directory: String) -> UInt64? { freeBytes }

    func readMark(_ path: String) -> JournalMark? { state.marks[Self.name(path)]?.latest }

    func stageMark(_ mark: JournalMark, at path: String) throws(StoreError) {
        change { state in
            let identity = FileIdentity(inode: state.nextInode, born: 1)
            state.nextInode += 1
            state.marks[Self.name(path)] = MarkFile(identity: identity, durable: mark, latest: mark)
        }
    }

    func installMark(from staged: String, to path: String) throws(StoreError) {
        change { state in
            state.marks[Self.name(path)] = state.marks.removeValue(forKey: Self.name(staged))
        }
    }

    func updateMark(_ mark: JournalMark, at path: String) {
        change { state in state.marks[Self.name(path)]?.latest = mark }
    }

    func reserve(_ path: String, bytes: Int) {}
}
