-- One site's Prosody, made by the lab. Lines marked (*) are the ones a real server needs beside a bridge.
run_as_root = true
daemonize = false
pidfile = "$directory/prosody.pid"
data_path = "$directory/data"
log = { $level = "$directory/prosody.log" }
certificates = "$directory"
interfaces = { "$address" }
c2s_ports = { 5222 }
s2s_ports = { 5269 }
c2s_direct_tls_ports = {}
s2s_direct_tls_ports = {}
http_ports = {}
https_ports = {}
authentication = "internal_plain"
allow_unencrypted_plain_auth = true
c2s_require_encryption = false
modules_enabled = { "disco", "roster", "saslauth", "dialback", "ping", "vcard", "smacks", $modules }
modules_disabled = { $disabled }

-- answers at once instead of waiting 40 ms for company (the kernel does that by default)
network_settings = { nagle = false }

-- (*) the names of the remote domains lead to the bridge
unbound = { resolvconf = false; hoststxt = false; forward = { "$resolver" } }

-- (*) what the bridge has not acknowledged goes out again on the next stream instead of back to its sender
smacks_s2s_resend = $resend

-- (*) how servers prove who they are
$security
$components
VirtualHost "$domain"
$muc
