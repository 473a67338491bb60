import numpy as np,time
from gaelp_env.draws import *
from gaelp_env.draws import _draw
from numba import njit
w=np.empty(14*ROOM,np.uint32); w[12*ROOM:13*ROOM]=np.arange(ROOM); w[13*ROOM:]=0
@njit
def many(w,n,key):
    for r in range(n): draw_all(w,ROOM,key,np.int64(5+r))
key=np.uint64(12345678912345)
many(w,10,key)
t=time.process_time(); many(w,20000,key); dt=time.process_time()-t
print('ns per philox', dt/(20000*ROOM*3)*1e9)
asm=list(draw_all.inspect_asm().values())
for a in asm: print(len(a), a.count('vpmuludq'), a.count('zmm'), a.count('mulq'), a.count('imulq'),a.count('mulxq'))
