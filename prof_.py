import sys,time,numpy as np
from agents.bench_market import market_of
users=int(sys.argv[1]); dens=float(sys.argv[2]); first=len(sys.argv)>3
m,b=market_of(users,dens,first=first)
for _ in range(24): m.advance(b)
st=m.checkpoint()
import time
best=[]
for rep in range(4):
    m.rollback(st)
    t=time.process_time(); opp=cand=views=visits=wins=bids=0
    for _ in range(24):
        l=m.advance(b).ledger
        opp+=int(l["opportunities"].sum()); cand+=int(l["candidates"]); views+=int(l["views"].sum()); visits+=int(l["visits"]); wins+=int(l["wins"].sum())
    best.append(time.process_time()-t)
print(f"opp {opp} cand {cand} wins {wins} views {views} visits {visits}; ns/opp {min(best)/opp*1e9:.0f} med {np.median(best)/opp*1e9:.0f} Mopp/s {opp/np.median(best)/1e6:.2f} day {np.median(best):.2f}s")
