//! Links between hubs in one process, over real sockets.
