/* api: the server's surface: routes, keys and limits, streams as resources, events, the page. The
 * control context owns all of it; nothing here blocks. */
#ifndef MNK_API_H
#define MNK_API_H

#include "ask/ask.h"
#include "base/base.h"
#include "local/local.h"
#include "net/net.h"
#include "store/store.h"
#include "stream/stream.h"

typedef struct _MnkApi MnkApi;

/* Opens the store, reads keys, makes workers, backend and HTTP server, begins streams that are to
 * be resumed. settings are copied. */
MnkApi *mnk_api_new(const MnkSettings *settings, GError **error);
void mnk_api_free(MnkApi *api);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkApi, mnk_api_free)
/* "http://127.0.0.1:8000/" */
char *mnk_api_url(const MnkApi *api);
/* A stream of the operator's own: any source, files anywhere. id NULL: made from the source. */
gboolean mnk_api_add_stream(MnkApi *api, const char *id, const char *source, GError **error);
/* Every caption of every stream, after its commit; for the terminal. */
void mnk_api_on_caption(MnkApi *api, void (*func)(const MnkCaption *caption, gpointer user),
                        gpointer user);
/* The start is over: streams run again and the language model was asked for (NULL), or it can never
 * work (MNK_ERROR_CONFIG: no such model, key refused) and the program should end. Once. */
void mnk_api_on_started(MnkApi *api, void (*func)(const GError *error, gpointer user),
                        gpointer user);
/* Takes over what may change while the program runs: LIVE options and keys. On error nothing has
 * changed. */
gboolean mnk_api_reload(MnkApi *api, const MnkSettings *settings, GError **error);
/* Graceful end within the drain time: not ready any more, streams captioned to their end, clients
 * told; done comes once. */
void mnk_api_drain(MnkApi *api, void (*done)(gpointer user), gpointer user);
gboolean mnk_api_is_healthy(const MnkApi *api);
/* `serve --check`: everything that mnk_api_new would need, without listening; findings as lines to
 * out. */
gboolean mnk_api_check(const MnkSettings *settings, GString *out, GError **error);

/* /openapi.json, for the docs check. */
void mnk_api_write_openapi(GString *out);
/* A new key for the file that --keys names: the key itself, and its line for the file. Callers
 * free. */
gboolean mnk_api_make_key(const char *name, const char *scopes, char **key, char **line,
                          GError **error);
/* A new key whose line is added to the file, which is made when there is none. */
gboolean mnk_api_add_key(const char *path, const char *name, const char *scopes, char **key,
                         GError **error);
/* The keys of a file with their scopes and limits, a line each. */
gboolean mnk_api_list_keys(const char *path, GString *out, GError **error);

#endif
