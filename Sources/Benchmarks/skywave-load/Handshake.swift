import COpenSSL

/// The component handshake of XEP-0114 §3: lower-case hex SHA-1 of stream id and secret.
enum Handshake {
    static func digest(streamID: String, secret: String) -> String {
        let input = Array((streamID + secret).utf8)
        var output = [UInt8](repeating: 0, count: 20)
        _ = unsafe SHA1(input, input.count, &output)
        return output.map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
    }
}
