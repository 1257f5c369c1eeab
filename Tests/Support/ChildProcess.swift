package import Foundation

/// Programs that tests start.
package enum ChildProcess {
    /// A process, not yet started, that has nothing open but its standard streams.
    ///
    /// Foundation on Linux hands down every descriptor of the parent that is not marked, and NIO marks none: a program that
    /// lives for seconds would keep the listener of another test, whose port is then "in use" when that test wants it back.
    ///
    /// - Parameters:
    ///   - path: the program.
    ///   - arguments: without the program's own name.
    package static func make(_ path: String, _ arguments: [String]) -> Process {
        let closeTheRest = """
            for link in /proc/self/fd/*; do
              number=${link##*/}
              if [ "$number" -gt 2 ]; then exec {number}>&-; fi
            done
            exec "$0" "$@"
            """
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = ["-c", closeTheRest, path] + arguments
        return process
    }
}
