import NIOCore
import NIOPosix

/// A running load: keeps a bounded number of messages on their way until all have arrived. Confined to one event loop.
final class Load {
    struct Result {
        var seconds: Double
        var arrivals: Arrivals
    }

    private let eventLoop: any EventLoop
    private let window: Int
    private var messages: LoadMessages
    private var arrivals: Arrivals
    private var total = 0
    private var sent = 0
    private var sender: (any Channel)?
    private var finished: EventLoopPromise<Result>?
    private var started = NIODeadline.now()
    private var lastArrival = NIODeadline.now()

    init(eventLoop: any EventLoop, messages: LoadMessages, window: Int) {
        self.eventLoop = eventLoop
        self.window = window
        self.messages = messages
        arrivals = Arrivals(messages: 0, pairs: messages.pairs)
    }

    func senderReady(_ channel: any Channel) {
        sender = channel
    }

    var hasSender: Bool { sender != nil }

    /// Sends messages `0..<count` and succeeds when they are there, or when nothing arrived for `patience`.
    func run(count: Int, patience: TimeAmount) -> EventLoopFuture<Result> {
        let promise = eventLoop.makePromise(of: Result.self)
        finished = promise
        arrivals = Arrivals(messages: count, pairs: messages.pairs)
        total = count
        sent = 0
        started = .now()
        lastArrival = started
        watch(patience)
        pump()
        return promise.futureResult
    }

    func fail(_ reason: String) {
        finished?.fail(LoadError(description: reason))
        finished = nil
    }

    func receive(_ scanner: inout TagScanner) {
        let before = arrivals.received
        while let number = scanner.nextMessageNumber() { arrivals.arrived(number) }
        guard arrivals.received != before else { return }
        lastArrival = .now()
        if arrivals.received == total, finished != nil {
            finish()
        } else {
            pump()
        }
    }

    /// Messages that came back to the sending side: errors.
    func receiveAtSender(_ scanner: inout TagScanner) {
        while scanner.nextMessageNumber() != nil { arrivals.arrived(-1) }
    }

    /// Fills the window again once half of it has arrived, in one write.
    private func pump() {
        guard let sender, sent < total, sent - arrivals.received <= window / 2 else { return }
        let until = min(total, arrivals.received + window)
        var buffer = sender.allocator.buffer(capacity: (until - sent) * (messages.averageBytes + 32))
        while sent < until {
            messages.write(sent, to: &buffer)
            sent += 1
        }
        sender.writeAndFlush(buffer, promise: nil)
    }

    private func watch(_ patience: TimeAmount) {
        eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(200)) {
            guard self.finished != nil else { return }
            if NIODeadline.now() - self.lastArrival > patience {
                self.finish()
            } else {
                self.watch(patience)
            }
        }
    }

    private func finish() {
        let seconds = Double((lastArrival - started).nanoseconds) / 1e9
        finished?.succeed(Result(seconds: seconds, arrivals: arrivals))
        finished = nil
    }
}
