// An independent verifier of an audit log: what a stranger writes who has Go's own packages for transparency logs, and
// nothing of ours. It reads a folder:
//
//	FOLDER/log/checkpoint, FOLDER/log/tile/**   the log, as c2sp.org/tlog-tiles lays it out
//	FOLDER/keys                                 verifier keys, one a line: the log's own first, then its cosigners'
//	FOLDER/checkpoints/NNNN                     checkpoints that were seen earlier, in order; may be missing
//
// and verifies checkpoint, cosignatures, the consistency of all checkpoints, each tile and each leaf. Then it tampers with
// the stored files, as often as it is asked to, and must find each change. It prints `ok` and `FAIL` lines.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	mutations := flag.Int("mutations", 10_000, "how many changes of the stored files to make and find")
	seed := flag.Int64("seed", 0, "what the changes are drawn from; 0: the time")
	quorum := flag.Int("quorum", -1, "how many cosigners must vouch for the newest checkpoint; below zero: a majority")
	limit := flag.Duration("limit", 2*time.Minute, "no more changes are begun after this long")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: verifier [flags] FOLDER")
		os.Exit(2)
	}
	failed := false
	say := func(err error, format string, arguments ...any) bool {
		if err != nil {
			failed = true
			fmt.Printf("FAIL "+format+": %v\n", append(arguments, err)...)
			return false
		}
		fmt.Printf("ok   "+format+"\n", arguments...)
		return true
	}
	began := time.Now()
	log, err := Open(flag.Arg(0), *quorum)
	if !say(err, "verifier: the folder is read") {
		os.Exit(1)
	}
	newest, err := log.Newest()
	if !say(err, "verifier: the newest checkpoint is signed") {
		os.Exit(1)
	}
	fmt.Printf("     %d entries, vouched for by %v\n", newest.Size, newest.Vouchers)
	say(log.CheckSeen(newest), "verifier: %d checkpoints seen earlier are consistent with it, each with the next", len(log.Seen))
	leaves, err := log.CheckAll(newest)
	say(err, "verifier: each tile leads to its root, and each of %d leaves is in its tile", leaves)
	fmt.Printf("     verified in %v; %d files lie beyond the checkpoint\n", time.Since(began).Round(time.Millisecond), log.Beyond(newest))
	if failed {
		os.Exit(1)
	}
	if *seed == 0 {
		*seed = time.Now().UnixNano()
	}
	began = time.Now()
	found, err := Tamper(log, newest, *mutations, *seed, began.Add(*limit))
	say(err, "verifier: %d changes of the stored files (seed %d) are found, each of them", found, *seed)
	fmt.Printf("     found in %v\n", time.Since(began).Round(time.Millisecond))
	if failed {
		os.Exit(1)
	}
}
