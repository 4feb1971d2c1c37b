/* Requests that are broken, ambiguous or over a limit, as raw bytes: each is answered once with a
 * status that fits, or not at all, and nothing of it reaches a handler as another request. Cases
 * that are good stand between them, so that strictness does not grow into refusing everything.
 *
 * Each runs in one piece and, in the second series, byte by byte. */
#include <string.h>

#include "http_support.h"

typedef struct {
  const char *name, *bytes;
  gsize length;
  const char *statuses; /* of the answers, in order; "": closed without one */
  guint requests;       /* that reach the handler */
} Case;

#define RAW(text) text, sizeof(text) - 1
#define HOST "Host: a\r\n"
#define POST "POST / HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define SECOND "GET /second HTTP/1.1\r\n" HOST "\r\n"

static const Case cases[] = {
    /* Good ones */
    {"good", RAW("GET / HTTP/1.1\r\n" HOST "\r\n"), "200", 1},
    {"good-1.0", RAW("GET / HTTP/1.0\r\n\r\n"), "200", 1},
    {"good-body", RAW(POST "Content-Length: 3\r\n\r\nabc"), "200", 1},
    {"good-chunks", RAW(CHUNKED "3\r\nabc\r\n0\r\n\r\n"), "200", 1},
    {"good-chunk-extension", RAW(CHUNKED "3;a=\"b c\"\r\nabc\r\n0;x\r\n\r\n"), "200", 1},
    {"good-trailers", RAW(CHUNKED "3\r\nabc\r\n0\r\nX: y\r\nZ:\r\n\r\n"), "200", 1},
    {"good-chunk-upper-case", RAW(CHUNKED "A\r\n0123456789\r\n00\r\n\r\n"), "200", 1},
    {"good-coding-in-capitals", RAW(POST "TRANSFER-ENCODING: CHUNKED\r\n\r\n0\r\n\r\n"), "200", 1},
    {"good-space-around-value", RAW("GET / HTTP/1.1\r\nHost: \t a \t\r\n\r\n"), "200", 1},
    {"good-no-space-before-value", RAW("GET / HTTP/1.1\r\nHost:a\r\n\r\n"), "200", 1},
    {"good-empty-value", RAW("GET / HTTP/1.1\r\n" HOST "X:\r\n\r\n"), "200", 1},
    {"good-latin1-value", RAW("GET / HTTP/1.1\r\n" HOST "X: \xe9\r\n\r\n"), "200", 1},
    {"good-empty-line-before", RAW("\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), "200", 1},
    {"good-absolute", RAW("GET http://a/x?y HTTP/1.1\r\n" HOST "\r\n"), "200", 1},
    {"good-absolute-no-path", RAW("GET http://a HTTP/1.1\r\n" HOST "\r\n"), "200", 1},
    {"good-options-star", RAW("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), "204", 0},
    {"good-host-v6-port", RAW("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), "200", 1},
    {"good-escapes", RAW("GET /%e3%81%82?q=%20+%2b HTTP/1.1\r\n" HOST "\r\n"), "200", 1},
    {"good-unknown-method", RAW("BREW / HTTP/1.1\r\n" HOST "\r\n"), "200", 1},
    {"good-pipelined", RAW("GET / HTTP/1.1\r\n" HOST "\r\n" SECOND), "200 200", 2},
    {"good-pipelined-bodies",
     RAW(POST "Content-Length: 3\r\n\r\nabc" CHUNKED "1\r\nx\r\n0\r\n\r\n" SECOND), "200 200 200",
     3},

    /* Request line */
    {"empty", RAW(""), "", 0},
    {"line-end-alone", RAW("\r\n"), "", 0},
    {"two-line-ends", RAW("\r\n\r\n"), "400", 0},
    {"two-empty-lines-before", RAW("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"feed-alone", RAW("\n"), "400", 0},
    {"word", RAW("hello\r\n\r\n"), "400", 0},
    {"0.9", RAW("GET /\r\n\r\n"), "400", 0},
    {"0.9-no-empty-line", RAW("GET /\r\n"), "", 0},
    {"no-target", RAW("GET HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"empty-target", RAW("GET  HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"two-spaces", RAW("GET  / HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"two-spaces-before-version", RAW("GET /  HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"space-at-end", RAW("GET / HTTP/1.1 \r\n" HOST "\r\n"), "400", 0},
    {"space-first", RAW(" GET / HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"tabs", RAW("GET\t/\tHTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"space-in-target", RAW("GET /a b HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"tab-in-target", RAW("GET /a\tb HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"nul-in-target", RAW("GET /a\0b HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"nul-in-method", RAW("G\0T / HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"nul-first", RAW("\0GET / HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"return-in-target", RAW("GET /a\rb HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"8-bit-in-target", RAW("GET /\xe3\x81\x82 HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"hash-in-target", RAW("GET /a#b HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"quote-in-target", RAW("GET /\"a\" HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"angle-in-target", RAW("GET /<a> HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"backslash-in-target", RAW("GET /a\\b HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"bad-method-character", RAW("G@T / HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"method-in-brackets", RAW("(GET) / HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"long-method", RAW("GETGETGETGETGETGETGETGETGETGETGETGET / HTTP/1.1\r\n" HOST "\r\n"), "400",
     0},
    {"tls-hello", RAW("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "400", 0},
    {"high-byte-first", RAW("\xff\xfe"), "400", 0},

    /* Version */
    {"http2-preface", RAW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "505", 0},
    {"http-2.0", RAW("GET / HTTP/2.0\r\n" HOST "\r\n"), "505", 0},
    {"http-1.2", RAW("GET / HTTP/1.2\r\n" HOST "\r\n"), "505", 0},
    {"http-0.9", RAW("GET / HTTP/0.9\r\n" HOST "\r\n"), "505", 0},
    {"http-1", RAW("GET / HTTP/1\r\n" HOST "\r\n"), "400", 0},
    {"http-11", RAW("GET / HTTP/11\r\n" HOST "\r\n"), "400", 0},
    {"http-1.10", RAW("GET / HTTP/1.10\r\n" HOST "\r\n"), "400", 0},
    {"http-01.1", RAW("GET / HTTP/01.1\r\n" HOST "\r\n"), "400", 0},
    {"http-lower-case", RAW("GET / http/1.1\r\n" HOST "\r\n"), "400", 0},
    {"htpt", RAW("GET / HTPT/1.1\r\n" HOST "\r\n"), "400", 0},
    {"http-comma", RAW("GET / HTTP/1,1\r\n" HOST "\r\n"), "400", 0},
    {"icap", RAW("GET / ICAP/1.0\r\n" HOST "\r\n"), "400", 0},
    {"rtsp", RAW("DESCRIBE rtsp://a/ RTSP/1.0\r\n\r\n"), "400", 0},

    /* Forms of the target, and paths */
    {"connect", RAW("CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n"), "501", 0},
    {"trace", RAW("TRACE / HTTP/1.1\r\n" HOST "\r\n"), "501", 0},
    {"authority-form", RAW("GET a:443 HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"no-slash", RAW("GET foo HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"star-with-get", RAW("GET * HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"query-alone", RAW("GET ?a HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"absolute-other-host", RAW("GET http://b/ HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"absolute-with-user", RAW("GET http://u@a/ HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"absolute-longer-host", RAW("GET http://a.b/ HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"absolute-ftp", RAW("GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"absolute-file", RAW("GET file:///etc/passwd HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"absolute-no-host", RAW("GET http:/// HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"escape-cut", RAW("GET /% HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"escape-cut-2", RAW("GET /%4 HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"escape-not-hex", RAW("GET /%zz HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"escape-u", RAW("GET /%u0041 HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"escape-nul", RAW("GET /a%00b HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"escape-feed", RAW("GET /a%0ab HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"escape-slash", RAW("GET /a%2Fb HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"escape-backslash", RAW("GET /a%5cb HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"escape-not-utf8", RAW("GET /%ff HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"escape-overlong", RAW("GET /%c0%af HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"escape-surrogate", RAW("GET /%ed%a0%80 HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"dots", RAW("GET /a/../b HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"dots-at-end", RAW("GET /a/.. HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"dot", RAW("GET /./a HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"dots-encoded", RAW("GET /%2e%2E/a HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"dots-half-encoded", RAW("GET /.%2e/a HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"query-escape-not-hex", RAW("GET /?a=%g1 HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"query-escape-nul", RAW("GET /?a=%00 HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"query-not-utf8", RAW("GET /?a=%80 HTTP/1.1\r\n" HOST "\r\n"), "400", 0},
    {"query-name-escape", RAW("GET /?%=1 HTTP/1.1\r\n" HOST "\r\n"), "400", 0},

    /* Header lines */
    {"bare-feeds", RAW("GET / HTTP/1.1\nHost: a\n\n"), "400", 0},
    {"bare-feed-first-line", RAW("GET / HTTP/1.1\n" HOST "\r\n"), "400", 0},
    {"bare-feed-in-fields", RAW("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"), "400", 0},
    {"bare-feed-at-end", RAW("GET / HTTP/1.1\r\n" HOST "\n"), "400", 0},
    {"bare-return", RAW("GET / HTTP/1.1\r\n" HOST "X: y\rZ: w\r\n\r\n"), "400", 0},
    {"bare-return-hides-length",
     RAW("GET / HTTP/1.1\r\n" HOST "X: y\rContent-Length: 3\r\n\r\nabc"), "400", 0},
    {"return-return-feed", RAW("GET / HTTP/1.1\r\n" HOST "X: y\r\r\n\r\n"), "400", 0},
    {"feed-return", RAW("GET / HTTP/1.1\n\rHost: a\n\r\n\r"), "400", 0},
    {"fold", RAW("GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n"), "400", 0},
    {"fold-tab", RAW("GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n"), "400", 0},
    {"fold-coding", RAW(POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"), "400", 0},
    {"fold-first-field", RAW("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), "400", 0},
    {"no-colon", RAW("GET / HTTP/1.1\r\n" HOST "foo\r\n\r\n"), "400", 0},
    {"colon-first", RAW("GET / HTTP/1.1\r\n" HOST ": foo\r\n\r\n"), "400", 0},
    {"space-before-colon", RAW("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), "400", 0},
    {"tab-before-colon", RAW("GET / HTTP/1.1\r\nHost\t: a\r\n\r\n"), "400", 0},
    {"space-before-coding-colon", RAW(POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" SECOND),
     "400", 0},
    {"space-in-name", RAW("GET / HTTP/1.1\r\n" HOST "X Y: z\r\n\r\n"), "400", 0},
    {"bracket-in-name", RAW("GET / HTTP/1.1\r\n" HOST "X(Y): z\r\n\r\n"), "400", 0},
    {"slash-in-name", RAW("GET / HTTP/1.1\r\n" HOST "X/Y: z\r\n\r\n"), "400", 0},
    {"8-bit-in-name", RAW("GET / HTTP/1.1\r\n" HOST "X\xe9: z\r\n\r\n"), "400", 0},
    {"nul-in-name", RAW("GET / HTTP/1.1\r\n" HOST "X\0Y: z\r\n\r\n"), "400", 0},
    {"nul-in-value", RAW("GET / HTTP/1.1\r\n" HOST "X: y\0z\r\n\r\n"), "400", 0},
    {"escape-in-value", RAW("GET / HTTP/1.1\r\n" HOST "X: \x1b[31m\r\n\r\n"), "400", 0},
    {"delete-in-value", RAW("GET / HTTP/1.1\r\n" HOST "X: \x7f\r\n\r\n"), "400", 0},
    {"vertical-tab-before-coding",
     RAW(POST "Transfer-Encoding: \x0b"
              "chunked\r\n\r\n0\r\n\r\n"),
     "400", 0},

    /* Host */
    {"no-host", RAW("GET / HTTP/1.1\r\n\r\n"), "400", 0},
    {"empty-host", RAW("GET / HTTP/1.1\r\nHost:\r\n\r\n"), "400", 0},
    {"two-hosts", RAW("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), "400", 0},
    {"same-host-twice", RAW("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"), "400", 0},
    {"host-list", RAW("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), "400", 0},
    {"host-with-path", RAW("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), "400", 0},
    {"host-with-user", RAW("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), "400", 0},
    {"host-with-space", RAW("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), "400", 0},
    {"host-bad-port", RAW("GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n"), "400", 0},
    {"host-long-port", RAW("GET / HTTP/1.1\r\nHost: a:1234567\r\n\r\n"), "400", 0},
    {"host-open-bracket", RAW("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), "400", 0},
    {"host-bad-v6", RAW("GET / HTTP/1.1\r\nHost: [g::1]\r\n\r\n"), "400", 0},
    {"host-behind-v6", RAW("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n"), "400", 0},
    {"host-quote", RAW("GET / HTTP/1.1\r\nHost: \"a\"\r\n\r\n"), "400", 0},
    {"1.0-bad-host", RAW("GET / HTTP/1.0\r\nHost: a b\r\n\r\n"), "400", 0},
    {"two-origins", RAW("GET / HTTP/1.1\r\n" HOST "Origin: a\r\nOrigin: b\r\n\r\n"), "400", 0},
    {"two-authorizations",
     RAW("GET / HTTP/1.1\r\n" HOST "Authorization: a\r\nAuthorization: b\r\n\r\n"), "400", 0},

    /* Lengths */
    {"length-and-coding",
     RAW(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SECOND), "400", 0},
    {"coding-and-length",
     RAW(POST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" SECOND), "400", 0},
    {"two-lengths", RAW(POST "Content-Length: 3\r\nContent-Length: 44\r\n\r\nabc" SECOND), "400",
     0},
    {"same-length-twice", RAW(POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"), "400", 0},
    {"length-list", RAW(POST "Content-Length: 3, 3\r\n\r\nabc"), "400", 0},
    {"length-plus", RAW(POST "Content-Length: +3\r\n\r\nabc"), "400", 0},
    {"length-minus", RAW(POST "Content-Length: -3\r\n\r\nabc"), "400", 0},
    {"length-empty", RAW(POST "Content-Length:\r\n\r\nabc"), "400", 0},
    {"length-hex", RAW(POST "Content-Length: 0x3\r\n\r\nabc"), "400", 0},
    {"length-fraction", RAW(POST "Content-Length: 3.0\r\n\r\nabc"), "400", 0},
    {"length-two-words", RAW(POST "Content-Length: 3 4\r\n\r\nabc"), "400", 0},
    {"length-word", RAW(POST "Content-Length: abc\r\n\r\nabc"), "400", 0},
    {"length-quoted", RAW(POST "Content-Length: \"3\"\r\n\r\nabc"), "400", 0},
    {"length-semicolon", RAW(POST "Content-Length: 3;\r\n\r\nabc"), "400", 0},
    {"length-64-bit", RAW(POST "Content-Length: 18446744073709551619\r\n\r\nabc"), "400", 0},
    {"length-too-large", RAW(POST "Content-Length: 65537\r\n\r\nabc"), "413", 1},
    {"length-huge", RAW(POST "Content-Length: 999999999999999999\r\n\r\nabc"), "413", 1},
    {"body-cut", RAW(POST "Content-Length: 5\r\n\r\nabc"), "", 1},
    {"get-body-is-no-request",
     RAW("GET / HTTP/1.1\r\n" HOST "Content-Length: 43\r\n\r\n"
         "GET /smuggled HTTP/1.1\r\nHost: inside-it\r\n\r\n"),
     "200", 1},

    /* Transfer codings */
    {"coding-gzip", RAW(POST "Transfer-Encoding: gzip\r\n\r\n"), "501", 0},
    {"coding-gzip-chunked", RAW(POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), "501",
     0},
    {"coding-chunked-twice", RAW(POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
     "501", 0},
    {"coding-identity", RAW(POST "Transfer-Encoding: identity\r\n\r\n"), "501", 0},
    {"coding-empty", RAW(POST "Transfer-Encoding:\r\n\r\n"), "501", 0},
    {"coding-prefix", RAW(POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), "501", 0},
    {"coding-suffix", RAW(POST "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n"), "501", 0},
    {"coding-comma", RAW(POST "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n"), "501", 0},
    {"coding-quoted", RAW(POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"), "501", 0},
    {"coding-parameter", RAW(POST "Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n"), "501", 0},
    {"two-codings",
     RAW(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"), "400",
     0},
    {"coding-1.0", RAW("POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
     "400", 0},
    {"expect-other", RAW(POST "Expect: cake\r\nContent-Length: 0\r\n\r\n"), "417", 0},
    {"expect-twice",
     RAW(POST "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx"), "400",
     0},

    /* Chunks */
    {"chunk-no-size", RAW(CHUNKED "\r\nabc\r\n0\r\n\r\n"), "400", 1},
    {"chunk-0x", RAW(CHUNKED "0x3\r\nabc\r\n0\r\n\r\n"), "400", 1},
    {"chunk-minus", RAW(CHUNKED "-3\r\nabc\r\n0\r\n\r\n"), "400", 1},
    {"chunk-plus", RAW(CHUNKED "+3\r\nabc\r\n0\r\n\r\n"), "400", 1},
    {"chunk-space-before", RAW(CHUNKED " 3\r\nabc\r\n0\r\n\r\n"), "400", 1},
    {"chunk-space-behind", RAW(CHUNKED "3 \r\nabc\r\n0\r\n\r\n"), "400", 1},
    {"chunk-not-hex", RAW(CHUNKED "g\r\nabc\r\n0\r\n\r\n"), "400", 1},
    {"chunk-size-16-digits", RAW(CHUNKED "1000000000000000\r\nabc"), "400", 1},
    {"chunk-size-wraps", RAW(CHUNKED "10000000000000003\r\nabc\r\n0\r\n\r\n"), "400", 1},
    {"chunk-size-zeros", RAW(CHUNKED "0000000000000003\r\nabc\r\n0\r\n\r\n"), "400", 1},
    {"chunk-size-large", RAW(CHUNKED "fffffffffffffff\r\nabc"), "", 1},
    {"chunk-size-bare-feed", RAW(CHUNKED "3\nabc\r\n0\r\n\r\n"), "400", 1},
    {"chunk-size-bare-return", RAW(CHUNKED "3\rabc\r\n0\r\n\r\n"), "400", 1},
    {"chunk-data-long", RAW(CHUNKED "3\r\nabcd\r\n0\r\n\r\n"), "400", 1},
    {"chunk-data-short", RAW(CHUNKED "3\r\nab\r\n0\r\n\r\n"), "400", 1},
    {"chunk-data-bare-feed", RAW(CHUNKED "3\r\nabc\n0\r\n\r\n"), "400", 1},
    {"chunk-data-no-end", RAW(CHUNKED "3\r\nabc0\r\n\r\n"), "400", 1},
    {"chunk-extension-bare-feed", RAW(CHUNKED "3;a\nb\r\nabc\r\n0\r\n\r\n"), "400", 1},
    {"chunk-extension-nul", RAW(CHUNKED "3;a\0b\r\nabc\r\n0\r\n\r\n"), "400", 1},
    {"chunk-extension-bare-return", RAW(CHUNKED "3;a\rb\r\nabc\r\n0\r\n\r\n"), "400", 1},
    {"chunk-end-bare-feed", RAW(CHUNKED "3\r\nabc\r\n0\n\n"), "400", 1},
    {"chunk-last-bare-feed", RAW(CHUNKED "0\r\n\n"), "400", 1},
    {"chunk-last-junk", RAW(CHUNKED "0\r\n\rX"), "400", 1},
    {"trailer-no-colon", RAW(CHUNKED "0\r\nfoo\r\n\r\n"), "400", 1},
    {"trailer-fold", RAW(CHUNKED "0\r\nX: y\r\n z\r\n\r\n"), "400", 1},
    {"trailer-no-name", RAW(CHUNKED "0\r\n: y\r\n\r\n"), "400", 1},
    {"trailer-space-before-colon", RAW(CHUNKED "0\r\nX : y\r\n\r\n"), "400", 1},
    {"trailer-bare-feed", RAW(CHUNKED "0\r\nX: y\nZ: w\r\n\r\n"), "400", 1},
    {"trailer-nul", RAW(CHUNKED "0\r\nX: \0\r\n\r\n"), "400", 1},
    {"chunks-cut", RAW(CHUNKED "3\r\nabc\r\n"), "", 1},
    {"chunks-cut-at-end", RAW(CHUNKED "3\r\nabc\r\n0\r\n"), "", 1},
    {"chunks-bad-then-request", RAW(CHUNKED "x\r\n\r\n" SECOND), "400", 1},

    /* Behind a request that was good */
    {"good-then-bad", RAW("GET / HTTP/1.1\r\n" HOST "\r\nGET\r\n\r\n"), "200 400", 1},
    {"good-then-bad-then-good", RAW("GET / HTTP/1.1\r\n" HOST "\r\nGET\r\n\r\n" SECOND), "200 400",
     1},
    {"body-longer-than-said", RAW(POST "Content-Length: 1\r\n\r\nab: c\r\n\r\n"), "200 400", 1},
    {"close-then-request", RAW("GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n" SECOND), "200",
     1},
    {"close-in-list-then-request",
     RAW("GET / HTTP/1.1\r\n" HOST "Connection: x, Close\r\n\r\n" SECOND), "200", 1},
    {"1.0-then-request", RAW("GET / HTTP/1.0\r\n\r\n" SECOND), "200", 1},
    {"head-cut", RAW("GET / HTTP/1.1\r\nHost: a\r\n"), "", 0},
    {"head-cut-in-line-end", RAW("GET / HTTP/1.1\r\nHost: a\r\n\r"), "", 0},
};

/* Too long to be written out. */
typedef struct {
  const char *name, *before, *unit;
  guint times;
  const char *behind, *statuses;
  guint requests;
} LongCase;

static const LongCase long_cases[] = {
    {"long-target", "GET /", "a", 9000, " HTTP/1.1\r\n" HOST "\r\n", "414", 0},
    {"long-target-endless", "GET /", "a", 100000, "", "414", 0},
    {"long-method-endless", "", "A", 100000, "", "414", 0},
    {"long-query", "GET /?", "a&", 5000, " HTTP/1.1\r\n" HOST "\r\n", "414", 0},
    {"query-members", "GET /?", "a&", 129, " HTTP/1.1\r\n" HOST "\r\n", "400", 0},
    {"query-members-most", "GET /?", "a&", 128, " HTTP/1.1\r\n" HOST "\r\n", "200", 1},
    {"long-value", "GET / HTTP/1.1\r\n" HOST "X: ", "a", 9000, "\r\n\r\n", "431", 0},
    {"long-value-endless", "GET / HTTP/1.1\r\n" HOST "X: ", "a", 200000, "", "431", 0},
    {"long-name", "GET / HTTP/1.1\r\n" HOST, "a", 9000, ": b\r\n\r\n", "431", 0},
    {"long-value-fits", "GET / HTTP/1.1\r\n" HOST "X: ", "a", 8000, "\r\n\r\n", "200", 1},
    {"fields-129", "GET / HTTP/1.1\r\n" HOST, "a:b\r\n", 129, "\r\n", "200", 1},
    {"fields-10000", "GET / HTTP/1.1\r\n" HOST, "a: b\r\n", 10000, "\r\n", "431", 0},
    {"cookies-10000", "GET / HTTP/1.1\r\n" HOST, "Cookie: a=b\r\n", 10000, "\r\n", "431", 0},
    {"empty-lines-10000", "", "\r\n", 10000, SECOND, "400", 0},
    {"spaces-in-value", "GET / HTTP/1.1\r\nHost:", " ", 7000, "a\r\n\r\n", "200", 1},
    {"garbage", "", "\x80", 40000, "", "400", 0},
    {"chunk-extension-endless", CHUNKED "3;", "a", 20000, "\r\nabc\r\n0\r\n\r\n", "400", 1},
    {"chunk-extensions-many", CHUNKED, "1;aaaaaaaaaaaaaaaa\r\nb\r\n", 1000, "0\r\n\r\n", "400", 1},
    {"chunk-size-endless", CHUNKED, "0", 20000, "\r\n\r\n", "400", 1},
    {"trailers-many", CHUNKED "0\r\n", "A: b\r\n", 5000, "\r\n", "400", 1},
    {"trailer-endless", CHUNKED "0\r\nA: ", "b", 20000, "\r\n\r\n", "400", 1},
    {"chunks-over-the-limit", CHUNKED, "400\r\n", 1, "", "", 1},
    {"pipelined-1000", "", "GET / HTTP/1.1\r\n" HOST "\r\n", 1000, "", "200*", 1000},
};

/* Different names, unlike fields-129. */
static GString *many_names(guint n) {
  GString *bytes = g_string_new("GET / HTTP/1.1\r\n" HOST);
  for (guint i = 1; i < n; i++)
    g_string_append_printf(bytes, "x%u: y\r\n", i);
  return g_string_append(bytes, "\r\n");
}

static void check_answers(TestClient *client, const char *statuses, guint requests) {
  if (strcmp(statuses, "200*") == 0) {
    for (guint i = 0; i < requests; i++)
      g_assert_cmpuint(test_client_answer(client, FALSE, NULL, NULL), ==, 200);
  } else {
    g_autoptr(GString) got = g_string_new(NULL);
    guint status;
    g_autofree char *body = NULL;
    while (g_free(g_steal_pointer(&body)),
           (status = test_client_answer(client, FALSE, NULL, &body)) != 0) {
      g_string_append_printf(got, "%s%u", got->len ? " " : "", status);
      if (status >= 400)
        g_assert_true(g_str_has_prefix(body, "{\"error\":{\"code\":\""));
    }
    g_assert_cmpstr(got->str, ==, statuses);
  }
  g_assert_cmpuint(client->got->len, ==, 0);
}

static void run(const char *bytes, gsize length, gsize piece, const char *statuses,
                guint requests) {
  g_autoptr(TestServer) test = test_server_new(NULL, NULL, NULL);
  g_autoptr(TestClient) client = test_client_new(test);
  for (gsize at = 0; at < length && !client->ended; at += piece) {
    if (!test_client_send(client, bytes + at, MIN(piece, length - at)))
      break;
    test_turn(3);
    test_client_take(client);
  }
  test_client_finish_sending(client);
  test_client_wait_end(client);
  check_answers(client, statuses, requests);
  g_assert_cmpuint(test->seen->len, ==, requests);
}

static void test_case(gconstpointer data) {
  const Case *c = data;
  run(c->bytes, c->length, G_MAXSIZE / 2, c->statuses, c->requests);
}

static void test_case_bytewise(gconstpointer data) {
  const Case *c = data;
  run(c->bytes, c->length, 1, c->statuses, c->requests);
}

static void test_long_case(gconstpointer data) {
  const LongCase *c = data;
  g_autoptr(GString) bytes = g_string_new(c->before);
  for (guint i = 0; i < c->times; i++)
    g_string_append(bytes, c->unit);
  g_string_append(bytes, c->behind);
  run(bytes->str, bytes->len, G_MAXSIZE / 2, c->statuses, c->requests);
}

static void test_many_names(void) {
  g_autoptr(GString) most = many_names(128);
  run(most->str, most->len, G_MAXSIZE / 2, "200", 1);
  g_autoptr(GString) more = many_names(129);
  run(more->str, more->len, G_MAXSIZE / 2, "431", 0);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *whole = g_strconcat("/net/http-malformed/whole/", cases[i].name, NULL);
    g_autofree char *bytes = g_strconcat("/net/http-malformed/bytewise/", cases[i].name, NULL);
    g_test_add_data_func(whole, &cases[i], test_case);
    g_test_add_data_func(bytes, &cases[i], test_case_bytewise);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(long_cases); i++) {
    g_autofree char *name = g_strconcat("/net/http-malformed/long/", long_cases[i].name, NULL);
    g_test_add_data_func(name, &long_cases[i], test_long_case);
  }
  g_test_add_func("/net/http-malformed/long/fields-of-many-names", test_many_names);
  return g_test_run();
}
