/* The head of a request, and bodies in chunks: strict parsers, pure functions over bytes.
 *
 * RFC 9110 and 9112 leave a server freedom with broken framing; every such freedom is a way to make
 * it and a proxy before it see different requests. So none is taken: lines end with CR LF, names
 * touch their colon, no line is folded, there is one length. */
#ifndef MNK_NET_HTTP_HEAD_PRIV_H
#define MNK_NET_HTTP_HEAD_PRIV_H

#include <glib.h>

enum { MNK_HTTP_FIELDS_MAX = 128, MNK_HTTP_QUERY_MAX = 128, MNK_HTTP_METHOD_MAX = 32 };

/* What was wrong with a request: the status for it, a sentence, the field or NULL. Constants. */
typedef struct {
  guint status;
  const char *message, *field;
} MnkHttpFault;

typedef struct {
  const char *name, *value;
} MnkHttpField;

typedef struct {
  const char *method, *path; /* path: decoded; "*" for OPTIONS * */
  MnkHttpField *fields;      /* values without white space around; repeated ones joined by ", " */
  MnkHttpField *query;       /* decoded; value "" where there is none */
  guint fields_n, query_n;
  gboolean http_1_0, keep_alive, expects_continue;
  gboolean chunked;
  guint64 length; /* of the body; 0 when chunked */
  char *text;     /* private: the bytes, cut into the strings above */
  GSList *joined; /* private */
} MnkHttpHead;

typedef enum { MNK_HEAD_MORE, MNK_HEAD_WHOLE, MNK_HEAD_BAD } MnkHeadScan;
/* Looks for the empty line behind a head. *scanned begins at 0 and remembers what was looked at.
 * BAD: a line does not end with CR LF, or what comes is no HTTP at all. */
MnkHeadScan mnk_http_head_scan(const char *bytes, gsize length, gsize *scanned, gsize *head_length);

/* bytes: a whole head with its empty line. FALSE: *fault says why, and *head needs no clearing. */
gboolean mnk_http_head_parse(MnkHttpHead *head, const char *bytes, gsize length,
                             MnkHttpFault *fault);
void mnk_http_head_clear(MnkHttpHead *head);
const char *mnk_http_head_field(const MnkHttpHead *head, const char *name);

/* Cuts a request target (NUL-terminated, writable) into path and query of head. host: the Host
 * field, which an absolute target must agree with; NULL when there was none. */
gboolean mnk_http_target_parse(MnkHttpHead *head, char *target, const char *host,
                               MnkHttpFault *fault);
/* RFC 9112 3.2: a name or address with an optional port. */
gboolean mnk_http_host_is_valid(const char *host);

/* A member of a comma list, without regard to case. list may be NULL. */
gboolean mnk_http_has_token(const char *list, const char *token);
gboolean mnk_http_is_token(const char *text, gsize length);
gboolean mnk_http_is_field_value(const char *text, gsize length);

/* ---- Chunks ---- */

typedef struct { /* all zeros: at the beginning */
  guint state;
  guint digits, line, extra; /* of the size; bytes of this line; of extensions and trailers */
  guint64 left;              /* of the chunk */
} MnkHttpChunks;

typedef enum { MNK_CHUNKS_MORE, MNK_CHUNKS_DATA, MNK_CHUNKS_END, MNK_CHUNKS_BAD } MnkChunksResult;
/* Goes on through bytes; *taken says how many are done with. DATA: a piece of the body lies at
 * *data (call again for what follows). END: the body and its trailers are over. */
MnkChunksResult mnk_http_chunks_next(MnkHttpChunks *chunks, const guint8 *bytes, gsize length,
                                     gsize *taken, const guint8 **data, gsize *data_length);

#endif
