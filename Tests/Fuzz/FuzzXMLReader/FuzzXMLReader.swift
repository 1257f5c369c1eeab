import FuzzDriver
import TestSupport

/// Any bytes, any split, both kinds of root.
@_cdecl("FuzzXMLReader_main")
public func fuzzMain(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> CInt {
    unsafe FuzzDriver.run(count, arguments, violation: StreamReaderProperties.violation(in:))
}
