// OpenSSL 3.0: function-like macros, stack accessors and unions under names that Swift can call.
#pragma once
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// SSL_CTX

static inline int skywave_context_set_versions(SSL_CTX *context, int minimum, int maximum) {
    return SSL_CTX_set_min_proto_version(context, minimum) == 1 && SSL_CTX_set_max_proto_version(context, maximum) == 1;
}

static inline void skywave_context_set_mode(SSL_CTX *context, long mode) { SSL_CTX_set_mode(context, mode); }

static inline void skywave_context_set_session_cache_mode(SSL_CTX *context, long mode) {
    SSL_CTX_set_session_cache_mode(context, mode);
}

static inline int skywave_context_set_groups(SSL_CTX *context, const char *list) {
    return SSL_CTX_set1_groups_list(context, list) == 1;
}

static inline int skywave_context_set_signature_algorithms(SSL_CTX *context, const char *list) {
    return SSL_CTX_set1_sigalgs_list(context, list) == 1;
}

static inline void skywave_context_set_maximum_certificate_list(SSL_CTX *context, long bytes) {
    SSL_CTX_set_max_cert_list(context, bytes);
}

// The option bits are 64-bit function-like macros.
static inline uint64_t skywave_options_base(void) {
    return SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_SSLv3 | SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1;
}

static inline uint64_t skywave_option_no_ticket(void) { return SSL_OP_NO_TICKET; }

static inline uint64_t skywave_option_middlebox_compatibility(void) { return SSL_OP_ENABLE_MIDDLEBOX_COMPAT; }

// Extensions of TLS 1.2 that a client of 1.3 alone would otherwise still send.
static inline uint64_t skywave_options_without_old_extensions(void) {
    return SSL_OP_NO_ENCRYPT_THEN_MAC | SSL_OP_NO_EXTENDED_MASTER_SECRET;
}

// SSL

static inline int skywave_set_server_name(SSL *ssl, const char *name) {
    return SSL_set_tlsext_host_name(ssl, name) == 1;
}

static inline void skywave_memory_bio_set_nonblocking(BIO *bio) { BIO_set_mem_eof_return(bio, -1); }

static inline long skywave_memory_bio_contents(BIO *bio, const char **bytes) { return BIO_get_mem_data(bio, bytes); }

// A name as RFC 4514 text with control characters escaped and UTF-8 left readable.
static inline int skywave_name_print(BIO *bio, const X509_NAME *name) {
    return X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0;
}

// Stacks of certificates

static inline STACK_OF(X509) *skywave_chain_new(void) { return sk_X509_new_null(); }

// Takes a reference of its own.
static inline int skywave_chain_append(STACK_OF(X509) *chain, X509 *certificate) {
    if (X509_up_ref(certificate) != 1) return 0;
    if (sk_X509_push(chain, certificate) > 0) return 1;
    X509_free(certificate);
    return 0;
}

static inline void skywave_chain_free(STACK_OF(X509) *chain) { sk_X509_pop_free(chain, X509_free); }

// Subject alternative names

enum {
    SKYWAVE_NAME_OTHER = 0,
    SKYWAVE_NAME_DNS = 1,
    SKYWAVE_NAME_SERVICE = 2,
    SKYWAVE_NAME_XMPP_ADDRESS = 3,
};

static inline int skywave_names_count(const GENERAL_NAMES *names) { return sk_GENERAL_NAME_num(names); }

static inline void skywave_names_free(GENERAL_NAMES *names) { GENERAL_NAMES_free(names); }

// The kind of the entry at `index`; the bytes stay owned by `names`. An otherName whose value has another string type
// than its definition demands (RFC 4985: IA5String, RFC 6120: UTF8String) counts as SKYWAVE_NAME_OTHER.
static inline int skywave_names_entry(const GENERAL_NAMES *names, int index, const unsigned char **bytes, int *length) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
    const ASN1_STRING *string = NULL;
    int kind = SKYWAVE_NAME_OTHER;
    *bytes = NULL;
    *length = 0;
    if (name == NULL) return kind;
    if (name->type == GEN_DNS) {
        kind = SKYWAVE_NAME_DNS;
        string = name->d.dNSName;
    } else if (name->type == GEN_OTHERNAME && name->d.otherName != NULL && name->d.otherName->value != NULL) {
        const ASN1_TYPE *value = name->d.otherName->value;
        int identifier = OBJ_obj2nid(name->d.otherName->type_id);
        if (identifier == NID_SRVName && value->type == V_ASN1_IA5STRING) {
            kind = SKYWAVE_NAME_SERVICE;
            string = value->value.ia5string;
        } else if (identifier == NID_XmppAddr && value->type == V_ASN1_UTF8STRING) {
            kind = SKYWAVE_NAME_XMPP_ADDRESS;
            string = value->value.utf8string;
        }
    }
    if (string == NULL) return SKYWAVE_NAME_OTHER;
    *bytes = ASN1_STRING_get0_data(string);
    *length = ASN1_STRING_length(string);
    return kind;
}

static inline GENERAL_NAMES *skywave_names_new(void) { return GENERAL_NAMES_new(); }

// Appends an entry of one of the kinds above; 1 on success.
static inline int skywave_names_append(GENERAL_NAMES *names, int kind, const unsigned char *bytes, int length) {
    GENERAL_NAME *name = GENERAL_NAME_new();
    int type = kind == SKYWAVE_NAME_XMPP_ADDRESS ? V_ASN1_UTF8STRING : V_ASN1_IA5STRING;
    ASN1_STRING *string = ASN1_STRING_type_new(type);
    ASN1_TYPE *value = NULL;
    if (name == NULL || string == NULL || ASN1_STRING_set(string, bytes, length) != 1) goto failed;
    if (kind == SKYWAVE_NAME_DNS) {
        GENERAL_NAME_set0_value(name, GEN_DNS, string);
        string = NULL;
    } else {
        int identifier = kind == SKYWAVE_NAME_SERVICE ? NID_SRVName : NID_XmppAddr;
        value = ASN1_TYPE_new();
        if (value == NULL) goto failed;
        ASN1_TYPE_set(value, ASN1_STRING_type(string), string);
        string = NULL;
        if (GENERAL_NAME_set0_othername(name, OBJ_nid2obj(identifier), value) != 1) goto failed;
        value = NULL;
    }
    if (sk_GENERAL_NAME_push(names, name) > 0) return 1;
failed:
    GENERAL_NAME_free(name);
    ASN1_STRING_free(string);
    ASN1_TYPE_free(value);
    return 0;
}

// Keys

static inline EVP_PKEY *skywave_generate_p256_key(void) { return EVP_EC_gen("P-256"); }

// Making certificates

static inline int skywave_utf8_string(void) { return MBSTRING_UTF8; }

static inline int skywave_certificate_add_extension(
    X509 *certificate, X509 *issuer, int identifier, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&context);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, identifier, value);
    if (extension == NULL) return 0;
    int added = X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return added;
}

static inline int skywave_certificate_add_names(X509 *certificate, GENERAL_NAMES *names, int critical) {
    return X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, critical, X509V3_ADD_DEFAULT);
}
