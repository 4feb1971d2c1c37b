/* What the store's tests share. */
#ifndef MNK_TEST_STORE_SUPPORT_H
#define MNK_TEST_STORE_SUPPORT_H

#include "store/store.h"

/* A folder of the test's own, and the timeline's path in it. */
typedef struct {
  char *folder, *path;
} Place;

void place_init(Place *place);
/* Removes the folder with its files. */
void place_clear(Place *place);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Place, place_clear)

MnkStore *open_store(const Place *place, MnkStoreMode mode);
/* The failure's sentence, less the place's own path ("@" instead). */
char *open_failure(const Place *place, MnkStoreMode mode);

MnkCaption *make_caption(const char *stream, const char *id, gint64 start_ms, gint64 end_ms,
                         const char *text);
void add_fact(MnkCaption *caption, MnkFactKind kind, const char *name);
void put(MnkStore *store, const MnkCaption *caption);
void put_text(MnkStore *store, const char *stream, const char *id, const char *text);
void put_stream(MnkStore *store, const char *id, const char *source, gint64 created_us,
                gboolean replace);
void flush(MnkStore *store);

/* While failures are made on purpose. */
void keep_log_quiet(gboolean quiet);

/* Ids of captions, "a b c". */
char *caption_ids(GPtrArray *captions);
/* Runs SQL on the file by another handle; for asking, the first column of the first row. */
void run_sql(const char *path, const char *sql);
char *ask_sql(const char *path, const char *sql);
/* The file as a whole: its pages, the index of words, and every sum that is kept of what is there.
 */
void assert_timeline_sound(const Place *place);

#endif
