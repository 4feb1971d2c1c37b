/* Who asks, and what they may. */
#ifndef MNK_API_AUTH_PRIV_H
#define MNK_API_AUTH_PRIV_H

#include "api/api.h"

typedef enum {
  MNK_SCOPE_NONE = 0, /* anyone */
  MNK_SCOPE_INGEST = 1 << 0,
  MNK_SCOPE_READ = 1 << 1,
  MNK_SCOPE_ASK = 1 << 2,
  MNK_SCOPE_ADMIN = 1 << 3,
} MnkScope;

/* A key of the file, or the one that stands for everyone when there are none. Lives as long as its
 * keyring or until the last reference goes. */
typedef struct {
  gint refs;
  char *name;
  guint scopes;
  guint streams_max; /* 0: no limit of its own, as below */
  double fps_max;    /* frames pushed per second, all streams of the key together */
  guint64 bytes_per_s;
  guint64 tokens_per_day; /* of language models */
  /* in use */
  guint streams;
  double fps_bucket, bytes_bucket;
  gint64 bucket_us, day;
  guint64 tokens_today;
  char *hash;       /* as in the file; "" for everyone */
  gboolean revoked; /* gone from the file: takes no more frames or streams */
} MnkKey;
MnkKey *mnk_key_ref(MnkKey *key);
void mnk_key_unref(MnkKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkKey, mnk_key_unref)
/* Takes one frame of these bytes from the key's quotas. FALSE with the limit's name and figure
 * (MNK_STATUS_ERROR 429, or 403 for a key that was revoked). now_us: monotonic. */
gboolean mnk_key_take_frame(MnkKey *key, gsize bytes, gint64 now_us, GError **error);
gboolean mnk_key_take_stream(MnkKey *key, GError **error);
void mnk_key_give_stream(MnkKey *key);
/* now_us: wall time, as a day is one of the calendar (UTC). */
gboolean mnk_key_has_tokens(MnkKey *key, gint64 now_us);
void mnk_key_spend_tokens(MnkKey *key, guint64 tokens, gint64 now_us);

typedef struct _MnkAuth MnkAuth;
/* keys_path NULL: no keys, everyone may do everything. */
MnkAuth *mnk_auth_new(const char *keys_path, GError **error);
void mnk_auth_free(MnkAuth *auth);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkAuth, mnk_auth_free)
gboolean mnk_auth_reload(MnkAuth *auth, const char *keys_path, GError **error);
gboolean mnk_auth_has_keys(const MnkAuth *auth);
/* The key of this name, for streams that go on after a restart; NULL: gone. Owned by the caller. */
MnkKey *mnk_auth_find(MnkAuth *auth, const char *name);
/* The key behind a request (header, or a token for this stream; stream NULL: a token for any), with
 * the scope wanted. NULL: refused, *status is 401, 403 or 429 (too many wrong keys from this
 * address), and the error says why. Owned by the caller. Compares in constant time. */
MnkKey *mnk_auth_check(MnkAuth *auth, MnkRequest *request, MnkScope scope, const char *stream,
                       guint *status, GError **error);
/* HMAC-SHA-256 over scope, stream, key and expiry, with a secret made at the start. */
char *mnk_auth_make_token(MnkAuth *auth, const MnkKey *key, MnkScope scope, const char *stream,
                          gint64 expires_us);
/* The Origin check: absent, our own, or listed. *allow: the value for
 * Access-Control-Allow-Origin or NULL. */
gboolean mnk_auth_origin_ok(const char *allow_origins, MnkRequest *request, const char **allow);

#endif
