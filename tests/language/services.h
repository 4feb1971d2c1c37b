/* What tests of remote backends share: fault_server.py as a child, settings that point at it, and
 * calls that wait for their end. Log lines and errors are watched for secrets all the time. */
#ifndef SERVICES_H
#define SERVICES_H

#include "language/backend.h"
#include "wire/wire.h"

#define SERVICE_KEY "test-key-0123456789-abcdefghijklmnop"

/* Starts the server; MNK_FAULT_SERVER and MNK_PYTHON say how. */
void services_start(void);
/* Checks that every request that reached the server was as it must be, then ends it. */
void services_stop(void);
const char *services_url(void);
MnkHttpClient *services_client(void);

/* Runs the main context until *flag; a hang ends the test program. */
void services_wait(const gboolean *flag);
void services_wait_ms(guint ms);
void services_spin(void); /* what is due now */

/* Control of the server: JSON of GET, and of the answer to POST. */
MnkJson *services_get(const char *path);
void services_post(const char *path, const char *json);
/* "503,ok" as the next faults of requests of a kind. */
void services_faults(const char *kind, const char *faults);
void services_always(const char *kind, const char *fault);
/* Requests of a kind so far, and the newest. */
guint services_count(const MnkJson *log, const char *kind);
const MnkJsonValue *services_last(const MnkJson *log, const char *kind);

/* Settings for gemini, vertex or openai at the server, with short waits. "name=value,..." besides.
 */
MnkSettings *services_settings(const char *service, const char *more);
MnkBackend *services_backend(const char *service, const char *more);
/* The server's service account key as a file; caller frees the name. */
char *services_account(void);

/* n frames half a second apart, every one with a small picture. */
MnkBatch *services_batch(guint n);

/* How a call ended. */
typedef struct {
  gboolean ended;
  char *texts; /* "0-1500 A dog.; ..."; NULL: no answer */
  guint attempts;
  gboolean repaired;
  guint64 prompt_tokens, answer_tokens;
  char *model;
  GError *error;
} Ending;
void ending_clear(Ending *ending);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Ending, ending_clear)
void services_done(const MnkBackendAnswer *answer, const GError *error, gpointer ending);
void services_caption(MnkBackend *backend, const MnkBatch *batch, Ending *ending);
/* Fails the test when text holds a secret or a control character. */
void services_check_text(const char *text);
/* calls = ok + failed + stale + refused, once nothing runs. */
void services_check_counters(const MnkBackend *backend);

#endif
