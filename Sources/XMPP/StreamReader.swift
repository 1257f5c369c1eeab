import CExpat
package import NIOCore

/// An incremental reader of one XMPP stream over one expat parser.
///
/// Takes input at any split and gives back stanzas in canonical form. Comments, processing instructions, document
/// types and entities of one's own are refused with `restricted-xml` (RFC 6120 §11.1); all sizes are bounded by
/// ``XMLLimits``.
///
/// Expat remembers every element and attribute name that it ever saw. On a stream that lives for months a peer could
/// grow it without bound, so after each mebibyte the parser is made anew at a stanza's end and told the root again.
@safe package final class StreamReader {
    /// Whether the stream's opening tag is on the wire.
    package enum Root: Equatable, Sendable {
        /// It is, and must come first (RFC 6120 §4.2).
        case received
        /// It is not: stanzas come at once, as if the root had been sent with this content namespace (XEP-0361 §4.1).
        case implicit(String)
    }

    private let core: UnsafeMutablePointer<ReaderCore>
    private let root: Root
    private var nextIndex = 0
    private var streamBytes = 0
    private var parserInput = 0
    /// The first bytes of an implicit stream while they may still be an XML declaration; `nil` once that is settled.
    private var declaration: [UInt8]?
    private var first3: [UInt8] = []

    package init(limits: XMLLimits, root: Root) {
        self.root = root
        let mode: ReaderCore.Mode =
            switch root {
            case .received: .received
            case .implicit(let namespace): .implicit(namespace)
            }
        guard let parser = unsafe XML_ParserCreateNS("UTF-8", XML_Char(bitPattern: ReaderCore.separator)) else {
            preconditionFailure("out of memory")
        }
        unsafe self.core = .allocate(capacity: 1)
        unsafe self.core.initialize(to: ReaderCore(parser: parser, limits: limits, mode: mode))
        self.prepareParser()
        self.primeImplicitRoot()
    }

    deinit {
        unsafe XML_ParserFree(self.core.pointee.parser)
        unsafe self.core.deinitialize(count: 1)
        unsafe self.core.deallocate()
    }

    /// Bytes held for a stanza that is not complete.
    package var unfinishedStanzaBytes: Int { unsafe self.core.pointee.unfinishedBytes }

    /// Changes the limits from here on: after authentication a stream may carry more.
    package func setLimits(_ limits: XMLLimits) {
        unsafe self.core.pointee.limits = limits
    }

    /// Forgets all that was read, as a stream restart demands (RFC 6120 §4.3.3). What came before it on the same
    /// connection, events not yet drawn included, is gone: a peer has no business to send ahead.
    package func reset() {
        unsafe _ = XML_ParserReset(self.core.pointee.parser, "UTF-8")
        unsafe self.core.pointee.restart(parser: self.core.pointee.parser)
        self.nextIndex = 0
        self.streamBytes = 0
        self.parserInput = 0
        self.first3 = []
        self.prepareParser()
        self.primeImplicitRoot()
    }

    /// The next thing found, or `nil` until more is read.
    package func nextEvent() -> StreamEvent? {
        guard unsafe self.nextIndex < self.core.pointee.events.count else {
            if self.nextIndex > 0 {
                unsafe self.core.pointee.events.removeAll(keepingCapacity: true)
                self.nextIndex = 0
            }
            return nil
        }
        self.nextIndex += 1
        return unsafe self.core.pointee.events[self.nextIndex - 1]
    }

    /// Takes all readable bytes.
    package func read(_ bytes: inout ByteBuffer) {
        guard unsafe !self.core.pointee.isFinished else {
            bytes.moveReaderIndex(to: bytes.writerIndex)
            return
        }
        self.streamBytes += bytes.readableBytes
        if let most = unsafe self.core.pointee.limits.streamBytes, self.streamBytes > most {
            unsafe self.core.pointee.fail(.policyViolation, "too many bytes before authentication")
            bytes.moveReaderIndex(to: bytes.writerIndex)
            return
        }
        if self.first3.count < 3 { self.refuseByteOrderMark(bytes) }
        if self.declaration != nil {
            self.skipDeclaration(&bytes)
        }
        unsafe bytes.readWithUnsafeReadableBytes { buffer in
            if let start = buffer.baseAddress { unsafe self.feed(start, buffer.count) }
            return buffer.count
        }
    }

    /// RFC 6120 §11.6: UTF-8 without byte order mark. Expat would skip a mark, and would take a first character with
    /// a zero byte beside it for UTF-16, whatever encoding it was told.
    private func refuseByteOrderMark(_ bytes: ByteBuffer) {
        self.first3 += Array(bytes.readableBytesView.prefix(3 - self.first3.count))
        if self.first3 == [0xef, 0xbb, 0xbf] { unsafe self.core.pointee.fail(.notWellFormed, "byte order mark") }
        if self.first3.prefix(2).contains(where: { $0 == 0 || $0 == 0xfe || $0 == 0xff }) {
            unsafe self.core.pointee.fail(.unsupportedEncoding)
        }
    }

    /// An XML declaration as the very first bytes of an implicit stream is harmless and skipped.
    private func skipDeclaration(_ bytes: inout ByteBuffer) {
        guard var collected = self.declaration else { return }
        let opening = Array("<?xml ".utf8)
        while let byte: UInt8 = bytes.readInteger() {
            collected.append(byte)
            if collected.count <= opening.count, collected[...] != opening[..<collected.count] { break }
            if collected.count > 256 { break }
            if collected.count > opening.count, collected.suffix(2) == Array("?>".utf8)[...] {
                self.declaration = nil
                self.declarationSkipped(collected)
                return
            }
            if bytes.readableBytes == 0 {
                self.declaration = collected
                return
            }
        }
        self.declaration = nil
        unsafe collected.withUnsafeBufferPointer { buffer in
            if let start = buffer.baseAddress { unsafe self.feed(start, buffer.count) }
        }
    }

    private func declarationSkipped(_ declaration: [UInt8]) {
        let text = String(decoding: declaration, as: UTF8.self).uppercased()
        if text.contains("ENCODING"), !text.contains("UTF-8") { unsafe self.core.pointee.fail(.unsupportedEncoding) }
    }

    private func feed(_ start: UnsafeRawPointer, _ count: Int) {
        var start = unsafe start
        var count = count
        while count > 0, unsafe !self.core.pointee.isFinished {
            let length = min(count, 1 << 20)
            unsafe self.core.pointee.parserBytes += length
            self.parserInput += length
            let status = unsafe XML_Parse(
                self.core.pointee.parser, start.assumingMemoryBound(to: CChar.self), Int32(length), 0)
            var used = length
            switch status {
            case XML_STATUS_OK:
                break
            case XML_STATUS_SUSPENDED:
                // Stopped at a stanza's end to make the parser anew: what follows was not looked at.
                let position = unsafe XML_GetCurrentByteIndex(self.core.pointee.parser)
                let end = unsafe Int(position) + Int(XML_GetCurrentByteCount(self.core.pointee.parser))
                used = length - (self.parserInput - end)
                self.renewParser()
            default:
                unsafe self.core.pointee.parserFailed(XML_GetErrorCode(self.core.pointee.parser))
                return
            }
            unsafe start += used
            count -= used
            self.checkToken()
        }
    }

    /// Refuses a tag that never ends: expat scans it anew with every read.
    private func checkToken() {
        guard unsafe !self.core.pointee.isFinished else { return }
        let position = unsafe Int(XML_GetCurrentByteIndex(self.core.pointee.parser))
        let most = unsafe self.core.pointee.limits.tokenBytes
        if self.parserInput - max(position, 0) > most {
            unsafe self.core.pointee.fail(.policyViolation, "tag too long")
        }
    }

    private func prepareParser() {
        let parser = unsafe self.core.pointee.parser
        unsafe XML_SetUserData(parser, self.core)
        unsafe XML_SetReturnNSTriplet(parser, 1)
        unsafe XML_SetElementHandler(
            parser,
            { data, name, attributes in
                guard let core = unsafe ReaderCore.at(data), let name = unsafe name,
                    let attributes = unsafe attributes
                else { return }
                unsafe core.pointee.elementStarted(name, attributes)
            },
            { data, _ in
                unsafe ReaderCore.at(data)?.pointee.elementEnded()
            })
        unsafe XML_SetCharacterDataHandler(parser) { data, text, length in
            guard let core = unsafe ReaderCore.at(data), let text = unsafe text else { return }
            let start = unsafe UnsafeRawPointer(text).assumingMemoryBound(to: UInt8.self)
            unsafe core.pointee.textFound(Bytes(start, Int(length)))
        }
        unsafe XML_SetStartNamespaceDeclHandler(parser) { data, prefix, namespace in
            unsafe ReaderCore.at(data)?.pointee.namespaceDeclared(prefix: prefix, namespace: namespace)
        }
        unsafe XML_SetCommentHandler(parser) { data, _ in
            unsafe ReaderCore.at(data)?.pointee.restrictedFound()
        }
        unsafe XML_SetProcessingInstructionHandler(parser) { data, _, _ in
            unsafe ReaderCore.at(data)?.pointee.restrictedFound()
        }
        unsafe XML_SetStartDoctypeDeclHandler(parser) { data, _, _, _, _ in
            unsafe ReaderCore.at(data)?.pointee.restrictedFound()
        }
        unsafe XML_SetXmlDeclHandler(parser) { data, _, encoding, _ in
            unsafe ReaderCore.at(data)?.pointee.declarationFound(encoding: encoding)
        }
    }

    private func primeImplicitRoot() {
        guard self.root != .received else { return }
        self.declaration = []
        self.primeRoot()
    }

    private func primeRoot() {
        let tag = unsafe self.core.pointee.primingTag
        unsafe self.core.pointee.isPriming = true
        tag.withBytes { bytes in
            let start = unsafe UnsafeRawPointer(bytes.start).assumingMemoryBound(to: CChar.self)
            unsafe _ = XML_Parse(self.core.pointee.parser, start, Int32(bytes.count), 0)
        }
        unsafe self.core.pointee.primed()
        self.parserInput = tag.utf8.count
    }

    private func renewParser() {
        unsafe _ = XML_ParserReset(self.core.pointee.parser, "UTF-8")
        unsafe self.core.pointee.wantsNewParser = false
        unsafe self.core.pointee.parserBytes = 0
        self.prepareParser()
        self.primeRoot()
    }
}

extension ReaderCore {
    /// The core that a callback's user data points at.
    @inline(__always)
    static func at(_ data: UnsafeMutableRawPointer?) -> UnsafeMutablePointer<ReaderCore>? {
        unsafe data?.assumingMemoryBound(to: ReaderCore.self)
    }
}
