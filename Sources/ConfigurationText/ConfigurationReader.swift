/// Collects what is wrong in one configuration file while it is read.
package final class ConfigurationReader {
    package let file: String
    private let locator: TOMLLineLocator
    package private(set) var problems: [ConfigurationProblem] = []

    package init(file: String, text: String) {
        self.file = file
        self.locator = TOMLLineLocator(text)
    }

    package func report(_ path: TOMLPath, value: String? = nil, _ message: String, allowed: String? = nil) {
        problems.append(
            ConfigurationProblem(
                file: file, line: locator.nearestLine(of: path), key: path.description, value: value, message: message,
                allowed: allowed))
    }

    package func report(line: Int, _ message: String) {
        problems.append(
            ConfigurationProblem(file: file, line: line, key: "", value: nil, message: message, allowed: nil))
    }

    /// Problems of another file that this one names.
    package func report(_ problems: [ConfigurationProblem]) { self.problems += problems }

    package func line(of path: TOMLPath) -> Int {
        locator.nearestLine(of: path)
    }
}
